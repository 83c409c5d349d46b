import type { Event } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type {
  PatchBody,
  Phase,
  ServeBody,
  Service,
  ServiceRef
} from '../api/types';
import { isObject, refKey } from '../api/types';

/**
 * The schema of the server's events about services.
 */
export const EVENT_SCHEMA =
  'https://schema.jupyter.org/kale_serve_ext/service/v1';
/**
 * The schema of the server's events about uploads.
 */
export const UPLOAD_SCHEMA =
  'https://schema.jupyter.org/kale_serve_ext/upload/v1';

/**
 * The services as they are now: told by events, put right by a list at every poll.
 */
export class ServicesModel extends VDomModel {
  constructor(options: ServicesModel.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
    this._events = options.events;
    this._poll = new Poll({
      auto: false,
      name: 'kale-serve-ext:services',
      factory: () => this._fetch(),
      frequency: {
        interval: options.pollInterval ?? 10_000,
        backoff: true,
        max: 20_000
      },
      standby: 'when-hidden'
    });
    this._events.stream.connect(this._onEvent, this);
  }

  /**
   * The newest first. A new array at every change.
   */
  get services(): readonly Service[] {
    return this._services;
  }

  /**
   * Whether a list has come in at least once.
   */
  get isReady(): boolean {
    return this._isReady;
  }

  /**
   * What kept the last list from coming in.
   */
  get error(): ApiError | null {
    return this._error;
  }

  /**
   * A service took another phase; `before` is null for one that was not there before.
   */
  get phaseChanged(): ISignal<this, ServicesModel.IPhaseChange> {
    return this._phaseChanged;
  }

  /**
   * The files of an artifact are on their way to where a service reads them.
   */
  get uploading(): ISignal<this, IUpload> {
    return this._uploading;
  }

  /**
   * Milliseconds between two lists.
   */
  set pollInterval(interval: number) {
    this._poll.frequency = { ...this._poll.frequency, interval };
  }

  /**
   * List for the first time, and from then on; later calls have no effect.
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

  find(ref: ServiceRef): Service | undefined {
    const key = refKey(ref);
    return this._services.find(service => refKey(service.ref) === key);
  }

  /**
   * Whether an action on the service is under way.
   */
  isBusy(ref: ServiceRef): boolean {
    return this._busy.has(refKey(ref));
  }

  /**
   * What kept the last action on the service from being done.
   */
  actionError(ref: ServiceRef): ApiError | null {
    return this._actionErrors.get(refKey(ref)) ?? null;
  }

  dismissActionError(ref: ServiceRef): void {
    if (this._actionErrors.delete(refKey(ref))) {
      this.stateChanged.emit();
    }
  }

  /**
   * Serve, or update the service of that name. Rejects with an `ApiError`.
   */
  async serve(body: ServeBody): Promise<Service> {
    const service = await this._client.serve(body);
    this._served.add(refKey(service.ref));
    this._put(service);
    return service;
  }

  /**
   * Whether the service was served, or updated, from this window.
   */
  wasServedHere(ref: ServiceRef): boolean {
    return this._served.has(refKey(ref));
  }

  /**
   * Change a service; what goes wrong is its `actionError`.
   */
  async patch(ref: ServiceRef, body: PatchBody): Promise<void> {
    await this._act(ref, async () => {
      this._put(await this._client.patch(ref, body));
    });
  }

  /**
   * Delete a service; what goes wrong is its `actionError`.
   */
  async delete(ref: ServiceRef): Promise<void> {
    await this._act(ref, async () => {
      try {
        await this._client.delete(ref);
      } catch (error) {
        // Somebody else was quicker: it is gone, as was wanted.
        if (!(error instanceof ApiError && error.reason === 'NotFound')) {
          throw error;
        }
      }
      this._drop(ref);
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._events.stream.disconnect(this._onEvent, this);
    this._poll.dispose();
    super.dispose();
    Signal.clearData(this);
  }

  private async _act(ref: ServiceRef, action: () => Promise<void>) {
    const key = refKey(ref);
    this._busy.add(key);
    this._actionErrors.delete(key);
    this.stateChanged.emit();
    try {
      await action();
    } catch (error) {
      this._actionErrors.set(key, ApiError.from(error, this._trans));
    } finally {
      this._busy.delete(key);
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  private async _fetch(): Promise<void> {
    const asked = ++this._clock;
    try {
      const listed = await this._client.services();
      this._error = null;
      this._isReady = true;
      this._replace(listed, asked);
    } catch (error) {
      this._error = ApiError.from(error, this._trans);
      throw error;
    } finally {
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  /**
   * Take over a list, but for what was told of since it was asked for: that is newer.
   */
  private _replace(listed: Service[], asked: number): void {
    const known = new Map(this._services.map(s => [refKey(s.ref), s]));
    const next = new Map(listed.map(s => [refKey(s.ref), s]));
    for (const [key, told] of this._told) {
      if (told < asked) {
        this._told.delete(key);
        continue;
      }
      const current = known.get(key);
      if (current) {
        next.set(key, current);
      } else {
        next.delete(key);
      }
    }
    this._set([...next.values()]);
  }

  private _put(service: Service): void {
    const key = refKey(service.ref);
    this._told.set(key, ++this._clock);
    this._set([
      ...this._services.filter(s => refKey(s.ref) !== key),
      service
    ]);
    this.stateChanged.emit();
  }

  private _drop(ref: ServiceRef): void {
    const key = refKey(ref);
    this._told.set(key, ++this._clock);
    this._actionErrors.delete(key);
    this._set(this._services.filter(s => refKey(s.ref) !== key));
    this.stateChanged.emit();
  }

  private _set(services: Service[]): void {
    const before = new Map(this._services.map(s => [refKey(s.ref), s.phase]));
    this._services = services.sort(
      (a, b) =>
        b.created - a.created || (refKey(a.ref) < refKey(b.ref) ? -1 : 1)
    );
    for (const service of services) {
      const phase = before.get(refKey(service.ref)) ?? null;
      if (phase !== service.phase) {
        this._phaseChanged.emit({ service, before: phase });
      }
    }
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id === UPLOAD_SCHEMA) {
      const { artifact, done, total } = emission as unknown as IUpload;
      this._uploading.emit({ artifact, done, total });
      return;
    }
    if (emission.schema_id !== EVENT_SCHEMA) {
      return;
    }
    const { kind, engine, context, namespace, name, service } =
      emission as unknown as IServiceEvent;
    if (kind === 'deleted') {
      this._drop({ engine, context, namespace, name });
    } else if (isObject(service)) {
      this._put(service);
    }
  }

  private _client: KaleServeClient;
  private _trans: TranslationBundle;
  private _events: Event.IManager;
  private _poll: Poll;
  private _isStarted = false;
  private _isReady = false;
  private _error: ApiError | null = null;
  private _services: readonly Service[] = [];
  private _served = new Set<string>();
  private _busy = new Set<string>();
  private _actionErrors = new Map<string, ApiError>();
  private _uploading = new Signal<this, IUpload>(this);
  private _phaseChanged = new Signal<this, ServicesModel.IPhaseChange>(this);
  /**
   * Counts requests and tidings, so that it can be said which came later.
   */
  private _clock = 0;
  private _told = new Map<string, number>();
}

export namespace ServicesModel {
  export interface IOptions {
    client: KaleServeClient;
    events: Event.IManager;
    trans: TranslationBundle;
    /**
     * Milliseconds between two lists.
     */
    pollInterval?: number;
  }

  export interface IPhaseChange {
    service: Service;
    before: Phase | null;
  }
}

/**
 * How far an upload is.
 */
export interface IUpload {
  /**
   * The artifact's name.
   */
  artifact: string;
  /**
   * Bytes that have gone, and those in all.
   */
  done: number;
  total: number;
}

interface IServiceEvent extends ServiceRef {
  kind: 'added' | 'modified' | 'deleted';
  service: Service | null;
}
