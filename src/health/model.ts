import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type {
  EngineBody,
  EngineList,
  Health,
  NamespaceList
} from '../api/types';

/**
 * How often to ask while something is being installed or started, or does not answer, and while all is well, in
 * milliseconds.
 */
const SOON = 2_000;
const LATER = 30_000;

/**
 * What the server says of itself: its engine, and how each backend does.
 */
export class HealthModel extends VDomModel {
  constructor(options: HealthModel.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
    this._poll = new Poll({
      auto: false,
      name: 'kale-serve-ext:health',
      factory: () => this._fetch(),
      frequency: { interval: LATER, backoff: true, max: LATER },
      standby: 'when-hidden'
    });
  }

  get health(): Health | null {
    return this._health;
  }

  get error(): ApiError | null {
    return this._error;
  }

  /**
   * Ask for the first time, and from then on; later calls have no effect.
   */
  start(): void {
    if (!this._isStarted) {
      this._isStarted = true;
      void this._poll.start();
    }
  }

  async refresh(): Promise<void> {
    await this._poll.refresh();
    await this._poll.tick;
  }

  /**
   * Where new services could go. Rejects with an `ApiError`, as do the next two.
   */
  engines(): Promise<EngineList> {
    return this._client.engines();
  }

  /**
   * The namespaces of the cluster of one context.
   */
  namespaces(context: string): Promise<NamespaceList> {
    return this._client.namespaces(context);
  }

  /**
   * Send new services to another engine.
   */
  async choose(body: EngineBody): Promise<void> {
    await this._client.chooseEngine(body);
    await this.refresh();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._poll.dispose();
    super.dispose();
  }

  private async _fetch(): Promise<void> {
    try {
      this._health = await this._client.health();
      this._error = null;
      this._hurry(isUnderWay(this._health));
    } catch (error) {
      this._error = ApiError.from(error, this._trans);
      this._hurry(true);
      throw error;
    } finally {
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  private _hurry(hurry: boolean): void {
    const interval = hurry ? SOON : LATER;
    if (!this._poll.isDisposed && this._poll.frequency.interval !== interval) {
      this._poll.frequency = { ...this._poll.frequency, interval };
    }
  }

  private _client: KaleServeClient;
  private _trans: TranslationBundle;
  private _poll: Poll;
  private _isStarted = false;
  private _health: Health | null = null;
  private _error: ApiError | null = null;
}

export namespace HealthModel {
  export interface IOptions {
    client: KaleServeClient;
    trans: TranslationBundle;
  }
}

function isUnderWay(health: Health): boolean {
  return Object.values(health.backends).some(({ state }) =>
    ['missing', 'installing', 'starting'].includes(state)
  );
}
