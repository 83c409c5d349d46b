import type { Event } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import { plainText } from '../api/plain';
import type {
  PatchBody,
  Phase,
  ServeBody,
  Service,
  ServiceRef
} from '../api/types';
import { refKey } from '../api/types';
import { Verifications } from './verifications';

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
 * The services as they are now: read when an event names one, put right by a list at every poll.
 */
export class ServicesModel extends VDomModel {
  constructor(options: ServicesModel.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
    this._events = options.events;
    this.verifications = new Verifications(options);
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
    this._phaseChanged.connect((_, { service }) => {
      if (this.wasServedHere(service.ref)) {
        void this.verifications.ensure(service);
      }
    });
  }

  /**
   * Whether they answer as their models did in the notebook. Those that are served from this window are asked as soon
   * as they are ready.
   */
  readonly verifications: Verifications;

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
   * Whether nobody knows how the services are by now: the server is away. One that answers that an engine is slow, or
   * down, goes on to tell of what changes.
   */
  get isStale(): boolean {
    return this._error?.isAway ?? false;
  }

  /**
   * A service took another phase; `before` is null for one that was not there before.
   */
  get phaseChanged(): ISignal<this, ServicesModel.IPhaseChange> {
    return this._phaseChanged;
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
   * Make a service what it was, at the revision or before the newest one; what goes wrong is its `actionError`.
   */
  async rollBack(ref: ServiceRef, revision?: number): Promise<void> {
    await this._act(ref, async () => {
      const body = revision === undefined ? {} : { revision };
      this._put(await this._client.rollBack(ref, body));
    });
  }

  /**
   * Delete a service; what goes wrong is its `actionError`.
   */
  async delete(ref: ServiceRef): Promise<void> {
    await this._act(ref, async () => {
      // Where somebody else was quicker, it is gone, as was wanted.
      await unlessNotFound(this._client.delete(ref));
      this._drop(ref);
    });
  }

  /**
   * Cancel what is being uploaded for a service, or dismiss what failed; what goes wrong is its `actionError`.
   */
  async cancelUpload(ref: ServiceRef): Promise<void> {
    await this._act(ref, async () => {
      // An upload that is not there may have ended just now: whether there is a service, only the service tells.
      await unlessNotFound(this._client.cancelUpload(ref));
      const service = await unlessNotFound(this._client.service(ref));
      if (service) {
        this._put(service);
      } else {
        this._drop(ref);
      }
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._events.stream.disconnect(this._onEvent, this);
    this._poll.dispose();
    this.verifications.dispose();
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
    this._set([...this._services.filter(s => refKey(s.ref) !== key), service]);
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
    const created = new Map(services.map(s => [refKey(s.ref), s.created]));
    for (const known of this._services) {
      const key = refKey(known.ref);
      if (created.get(key) !== known.created) {
        this.verifications.drop(key); // gone, or another of its name
      }
    }
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
      this._moveUpload(emission as unknown as IUpload);
      return;
    }
    if (emission.schema_id !== EVENT_SCHEMA) {
      return;
    }
    const { kind, engine, context, namespace, name } =
      emission as unknown as IServiceEvent;
    const ref = { engine, context, namespace, name };
    if (kind === 'deleted') {
      this._drop(ref);
    } else {
      void this._read(ref);
    }
  }

  private _moveUpload(moved: IUpload): void {
    const { engine, context, namespace, name, artifact, done, total } = moved;
    const service = this.find({ engine, context, namespace, name });
    // Of an upload that is not known here, the event of its service tells.
    if (service?.upload) {
      const upload = { artifact: plainText(artifact), done, total, error: '' };
      // Of the service itself this is no news: what is being read of it is still the newest.
      this._services = this._services.map(one =>
        one === service ? { ...service, upload } : one
      );
      this.stateChanged.emit();
    }
  }

  /**
   * Read a service that has changed: one request at a time, and one more where it has changed meanwhile.
   */
  private async _read(ref: ServiceRef): Promise<void> {
    const key = refKey(ref);
    if (this._reading.has(key)) {
      this._reading.set(key, true);
      return;
    }
    do {
      this._reading.set(key, false);
      const asked = ++this._clock;
      try {
        const service = await this._client.service(ref);
        if (!this.isDisposed && (this._told.get(key) ?? 0) < asked) {
          this._put(service);
        }
      } catch {
        // The next list puts it right, and tells what is wrong.
      }
    } while (this._reading.get(key) && !this.isDisposed);
    this._reading.delete(key);
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
  private _phaseChanged = new Signal<this, ServicesModel.IPhaseChange>(this);
  /**
   * Counts requests and tidings, so that it can be said which came later.
   */
  private _clock = 0;
  private _told = new Map<string, number>();
  /**
   * The services that are being read, and whether they have changed since they were asked for.
   */
  private _reading = new Map<string, boolean>();
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
 * How far the upload for a service is.
 */
export interface IUpload extends ServiceRef {
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
}

/**
 * What the server answers; null where it answers that there is no such thing.
 */
async function unlessNotFound<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'NotFound') {
      return null;
    }
    throw error;
  }
}
