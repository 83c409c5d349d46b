import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { Service } from './api/types';
import { CommandIDs } from './commandIDs';
import type { ServicesModel } from './services/model';
import type { IKaleServe } from './tokens';

/**
 * Tells of services that became ready or failed, wherever the user is looking.
 */
export class ServiceNotifier {
  constructor(
    private _kale: IKaleServe,
    private _commands: CommandRegistry,
    private _trans: TranslationBundle
  ) {
    this._kale.services.phaseChanged.connect(this._onPhase, this);
  }

  private _onPhase(
    services: ServicesModel,
    { service, before }: ServicesModel.IPhaseChange
  ): void {
    // A service that is there at the first look is no news.
    if (before === null || !this._kale.settings.notify) {
      return;
    }
    const { ref, phase, reason } = service;
    const name = ref.name;
    if (
      phase === 'Ready' &&
      before !== 'Idle' &&
      services.wasServedHere(ref)
    ) {
      Notification.success(this._trans.__('%1 is ready.', name), {
        autoClose: 5000,
        actions: [this._action('test', service)]
      });
    } else if (phase === 'Failed') {
      Notification.error(this._trans.__('%1 failed. %2', name, reason), {
        actions: [this._action('logs', service)]
      });
    } else if (phase === 'Degraded') {
      Notification.warning(
        this._trans.__('%1 runs on, but its update failed. %2', name, reason),
        { actions: [this._action('logs', service)] }
      );
    }
  }

  private _action(
    kind: 'test' | 'logs',
    service: Service
  ): Notification.IAction {
    const isTest = kind === 'test';
    return {
      label: isTest ? this._trans.__('Test') : this._trans.__('Logs'),
      callback: () => {
        void this._commands.execute(
          isTest ? CommandIDs.testService : CommandIDs.showLogs,
          { ...service.ref }
        );
      }
    };
  }
}
