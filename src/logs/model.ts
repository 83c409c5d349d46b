import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Throttler } from '@lumino/polling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { Component, ServiceRef } from '../api/types';
import { LineBuffer } from './buffer';

/**
 * The log of one component of a service, as it is written.
 */
export class LogModel extends VDomModel {
  constructor(options: LogModel.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
    this._ref = options.ref;
    this._lines = options.lines ?? 5000;
    this._component = options.component ?? 'predictor';
    this._buffer = new LineBuffer(this._lines);
    // A busy log brings many pieces a second; nobody reads faster than this.
    this._told = new Throttler(() => this._emit(), {
      limit: 100,
      edge: 'trailing'
    });
  }

  get text(): string {
    return this._buffer.toString();
  }

  get isEmpty(): boolean {
    return this._buffer.isEmpty;
  }

  /**
   * Lines at the beginning that are no longer kept.
   */
  get dropped(): number {
    return this._buffer.dropped;
  }

  /**
   * Whether more may come.
   */
  get isStreaming(): boolean {
    return this._stream !== null;
  }

  get error(): ApiError | null {
    return this._error;
  }

  get component(): Component {
    return this._component;
  }
  set component(component: Component) {
    this._component = component;
    void this.load();
  }

  get follow(): boolean {
    return this._follow;
  }
  set follow(follow: boolean) {
    this._follow = follow;
    void this.load();
  }

  /**
   * Whether it is the log of the run before the last restart.
   */
  get previous(): boolean {
    return this._previous;
  }
  set previous(previous: boolean) {
    this._previous = previous;
    void this.load();
  }

  /**
   * Read the log from its end, and go on as it is written where it is followed.
   */
  async load(): Promise<void> {
    this._stream?.abort();
    const stream = (this._stream = new AbortController());
    this._buffer = new LineBuffer(this._lines);
    this._error = null;
    this._emit();
    try {
      const pieces = this._client.logs(this._ref, {
        component: this._component,
        tail: this._lines,
        previous: this._previous,
        // What is over does not grow.
        follow: this._follow && !this._previous,
        signal: stream.signal
      });
      for await (const piece of pieces) {
        if (stream !== this._stream) {
          return;
        }
        this._buffer.push(piece);
        this._told.invoke().catch(() => undefined);
      }
    } catch (error) {
      if (stream === this._stream) {
        this._error = ApiError.from(error, this._trans);
      }
    } finally {
      if (stream === this._stream) {
        this._stream = null;
        this._emit();
      }
    }
  }

  /**
   * Read no further.
   */
  stop(): void {
    this._stream?.abort();
    this._stream = null;
    this._emit();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._stream?.abort();
    this._stream = null;
    this._told.dispose();
    super.dispose();
  }

  private _emit(): void {
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private _client: KaleServeClient;
  private _trans: TranslationBundle;
  private _ref: ServiceRef;
  private _lines: number;
  private _told: Throttler;
  private _buffer: LineBuffer;
  private _stream: AbortController | null = null;
  private _error: ApiError | null = null;
  private _component: Component;
  private _follow = true;
  private _previous = false;
}

export namespace LogModel {
  export interface IOptions {
    client: KaleServeClient;
    trans: TranslationBundle;
    ref: ServiceRef;
    component?: Component;
    /**
     * Lines kept.
     */
    lines?: number;
  }
}
