import type { Event } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
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
 * Which environment is how far. An overlay is one for each version of Python; without a version, all of them are meant.
 */
export interface IEnvironmentChange extends EnvironmentState {
  name: string;
  python_version: string;
}

/**
 * The environments of model servers: what the server does with them, and what it tells of that.
 */
export class EnvironmentsModel implements IDisposable {
  constructor(options: EnvironmentsModel.IOptions) {
    this._client = options.client;
    this._events = options.events;
    this._events.stream.connect(this._onEvent, this);
  }

  /**
   * Emitted when this server is a step further with one, or has removed it.
   */
  get changed(): ISignal<this, IEnvironmentChange> {
    return this._changed;
  }

  /**
   * Begin to install what a runtime lacks. How far it is, events tell.
   */
  install({ environment, python }: Setup): Promise<EnvironmentInfo> {
    return this._client.installEnvironment(environment, python);
  }

  /**
   * Cancel an installation by this server; nothing of it is left then.
   */
  cancel({ environment, python }: Setup): Promise<void> {
    return this._client.cancelInstallation(environment, python);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._events.stream.disconnect(this._onEvent, this);
    Signal.clearData(this);
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id === ENVIRONMENT_SCHEMA) {
      const { name, python_version, state, message, hint } =
        emission as unknown as IEnvironmentChange;
      this._changed.emit({ name, python_version, state, message, hint });
    }
  }

  private _client: KaleServeClient;
  private _events: Event.IManager;
  private _changed = new Signal<this, IEnvironmentChange>(this);
  private _isDisposed = false;
}

/**
 * Whether a change is one of what a plan lacks.
 */
export function concerns(change: IEnvironmentChange, lacks: Setup): boolean {
  const { name, python_version } = change;
  return (
    name === lacks.environment &&
    (python_version === '' || python_version === lacks.python_version)
  );
}

export namespace EnvironmentsModel {
  export interface IOptions {
    client: KaleServeClient;
    events: Event.IManager;
  }
}
