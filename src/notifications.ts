import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { Service } from './api/types';
import { CommandIDs } from './commandIDs';
import type { ServicesModel } from './services/model';
import type { Verifications } from './services/verifications';
import { verificationWords } from './services/words';
import type { IKaleServe } from './tokens';

/**
 * Tells of services that became ready or failed, wherever the user is looking: of those that were served from this
 * browser tab. Others' services in the same namespace are theirs to look after; how they do, the panel shows.
 */
export class ServiceNotifier {
  constructor(
    private _kale: IKaleServe,
    private _commands: CommandRegistry,
    private _trans: TranslationBundle
  ) {
    const { services } = this._kale;
    services.phaseChanged.connect(this._onPhase, this);
    services.verifications.verified.connect(this._onVerified, this);
  }

  private _onVerified(
    _: Verifications,
    { service, verification }: Verifications.IVerified
  ): void {
    const { ok, skipped } = verification;
    const { services, settings } = this._kale;
    if (
      !ok &&
      !skipped &&
      settings.notify &&
      services.wasServedHere(service.ref)
    ) {
      Notification.warning(
        this._trans.__(
          '%1: %2',
          service.ref.name,
          verificationWords(verification, this._trans)
        )
      );
    }
  }

  private _onPhase(
    services: ServicesModel,
    { service, before }: ServicesModel.IPhaseChange
  ): void {
    const { ref, phase, reason } = service;
    // A service that is there at the first look is no news.
    if (
      before === null ||
      !this._kale.settings.notify ||
      !services.wasServedHere(ref)
    ) {
      return;
    }
    const name = ref.name;
    if (phase === 'Ready' && before !== 'Idle') {
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
        this._trans.__(
          '%1 is degraded; the previous version still answers. %2',
          name,
          reason
        ),
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
