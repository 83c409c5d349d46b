import type { Event } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { EnvironmentInfo, Setup } from '../api/types';

/**
 * The schema of the server's events about environments.
 */
export const ENVIRONMENT_SCHEMA =
  'https://schema.jupyter.org/kale_serve_ext/environment/v1';

/**
 * How far an environment is, and what went wrong.
 */
export type EnvironmentState = Pick<
  EnvironmentInfo,
  'state' | 'message' | 'hint'
>;

/**
 * The environments of model servers that were asked for, or that the server told of, as far as they are.
 */
export class EnvironmentsModel extends VDomModel {
  constructor(options: EnvironmentsModel.IOptions) {
    super();
    this._client = options.client;
    this._events = options.events;
    this._trans = options.trans;
    this._events.stream.connect(this._onEvent, this);
  }

  /**
   * What is known of an environment since this page was loaded; undefined where that is nothing.
   */
  get(name: string): EnvironmentState | undefined {
    return this._known.get(name);
  }

  /**
   * Begin to install what a runtime lacks. How far it is, events tell.
   */
  async install({ environment, python }: Setup): Promise<void> {
    this._set(environment, { state: 'installing', message: '', hint: '' });
    await this._ask(environment, () =>
      this._client.installEnvironment(environment, python)
    );
  }

  /**
   * Cancel an installation; nothing of it is left then.
   */
  async cancel(environment: string): Promise<void> {
    await this._ask(environment, () =>
      this._client.cancelInstallation(environment)
    );
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._events.stream.disconnect(this._onEvent, this);
    super.dispose();
    Signal.clearData(this);
  }

  private async _ask(
    name: string,
    action: () => Promise<EnvironmentState | void>
  ): Promise<void> {
    try {
      const found = await action();
      // An event that came meanwhile may be newer, but for an end without one.
      if (found && found.state !== 'installing') {
        this._set(name, found);
      }
    } catch (error) {
      const { message, hint } = ApiError.from(error, this._trans);
      this._set(name, { state: 'failed', message, hint });
    }
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id !== ENVIRONMENT_SCHEMA) {
      return;
    }
    const { name, state, message } = emission as unknown as IEnvironmentEvent;
    this._set(name, { state, message, hint: '' });
    if (state === 'failed') {
      void this._read(name);
    }
  }

  /**
   * An event has no room for what to do about a failure.
   */
  private async _read(name: string): Promise<void> {
    try {
      const listed = await this._client.environments();
      const found = listed.find(one => one.name === name);
      if (found?.state === 'failed') {
        this._set(name, found);
      }
    } catch {
      // What has failed is shown already.
    }
  }

  private _set(name: string, { state, message, hint }: EnvironmentState): void {
    if (!this.isDisposed) {
      this._known.set(name, { state, message, hint });
      this.stateChanged.emit();
    }
  }

  private _client: KaleServeClient;
  private _events: Event.IManager;
  private _trans: TranslationBundle;
  private _known = new Map<string, EnvironmentState>();
}

interface IEnvironmentEvent {
  name: string;
  state: EnvironmentState['state'];
  message: string;
}

export namespace EnvironmentsModel {
  export interface IOptions {
    client: KaleServeClient;
    events: Event.IManager;
    trans: TranslationBundle;
  }
}
