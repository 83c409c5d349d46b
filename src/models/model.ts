import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Debouncer, Poll } from '@lumino/polling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { ModelDetail, RegisteredName } from '../api/types';

/**
 * The registered models that match a search, page by page, and what is known of those that were opened.
 */
export class ModelListModel extends VDomModel {
  constructor(options: ModelListModel.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
    this._pageSize = options.pageSize ?? 50;
    this._search = new Debouncer(() => this._load(), options.delay ?? 250);
    this._poll = new Poll({
      auto: false,
      name: 'kale-serve-ext:models',
      factory: () => this._revise(),
      frequency: {
        interval: options.pollInterval ?? 15_000,
        backoff: true,
        max: 2 * 60_000
      },
      standby: 'when-hidden'
    });
  }

  /**
   * The newest first. A new array at every change.
   */
  get items(): readonly RegisteredName[] {
    return this._items;
  }

  /**
   * How many match in all.
   */
  get total(): number {
    return this._total;
  }

  get hasMore(): boolean {
    return this._cursor !== '';
  }

  get isLoading(): boolean {
    return this._loading !== null;
  }

  /**
   * Whether a page has come in at least once.
   */
  get isReady(): boolean {
    return this._isReady;
  }

  /**
   * What kept the list from coming in.
   */
  get error(): ApiError | null {
    return this._error;
  }

  /**
   * What is sought; setting it lists anew once the typing pauses.
   */
  get query(): string {
    return this._query;
  }
  set query(query: string) {
    if (query === this._query) {
      return;
    }
    this._query = query;
    this.stateChanged.emit();
    if (this._isStarted) {
      this._search.invoke().catch(() => undefined);
    }
  }

  /**
   * Names on one page.
   */
  set pageSize(size: number) {
    this._pageSize = size;
  }

  /**
   * List for the first time, and look for news from then on; later calls have no effect.
   */
  start(): void {
    if (!this._isStarted) {
      this._isStarted = true;
      void this._poll.start();
    }
  }

  /**
   * List anew from the first page.
   */
  async refresh(): Promise<void> {
    this._details.clear();
    await this._load();
  }

  /**
   * Add the next page.
   */
  async more(): Promise<void> {
    if (this._cursor && !this._loading) {
      await this._load(this._cursor);
    }
  }

  /**
   * What is known of an artifact: undefined until it is asked for by `open`.
   */
  detail(id: number): ModelListModel.IDetail | undefined {
    return this._details.get(id);
  }

  /**
   * Fetch an artifact's versions and lineage, unless they are here.
   */
  async open(id: number): Promise<void> {
    const known = this._details.get(id);
    if (known && !known.error) {
      return;
    }
    this._note(id, { isLoading: true });
    try {
      this._note(id, { isLoading: false, value: await this._client.model(id) });
    } catch (error) {
      this._note(id, {
        isLoading: false,
        error: ApiError.from(error, this._trans)
      });
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._loading?.abort();
    this._search.dispose();
    this._poll.dispose();
    super.dispose();
  }

  private _note(id: number, detail: ModelListModel.IDetail): void {
    this._details.set(id, detail);
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private async _load(cursor = ''): Promise<void> {
    this._loading?.abort();
    const loading = (this._loading = new AbortController());
    this.stateChanged.emit();
    try {
      const page = await this._client.models({
        search: this._query,
        cursor,
        limit: this._pageSize,
        signal: loading.signal
      });
      if (loading !== this._loading) {
        return;
      }
      this._items = cursor ? append(this._items, page.items) : page.items;
      this._cursor = page.next_cursor;
      this._total = page.total;
      this._error = null;
      this._isReady = true;
    } catch (error) {
      // Where another has begun, this one was given up for it.
      if (loading === this._loading) {
        this._error = ApiError.from(error, this._trans);
      }
    } finally {
      if (loading === this._loading) {
        this._loading = null;
      }
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  /**
   * Look whether the first page is still what it was, and start over from it where it is not.
   */
  private async _revise(): Promise<void> {
    if (this._loading) {
      return;
    }
    if (!this._isReady || this._error) {
      await this._load();
      if (this._error) {
        throw this._error;
      }
      return;
    }
    const query = this._query;
    const page = await this._client.models({
      search: query,
      limit: this._pageSize,
      isBackground: true
    });
    if (query !== this._query || this._loading || this.isDisposed) {
      return;
    }
    const known = this._items.slice(0, page.items.length);
    if (page.total !== this._total || !isSame(known, page.items)) {
      const merged = [...page.items, ...without(this._items, page.items)];
      if (
        merged.length - this._items.length === page.total - this._total &&
        page.items.some(item => holds(this._items, item))
      ) {
        // What is new is all on the first page: whoever has scrolled far down stays there.
        this._items = merged;
      } else {
        this._items = page.items;
        this._cursor = page.next_cursor;
      }
      this._total = page.total;
      this._details.clear();
      this.stateChanged.emit();
    }
  }

  private _client: KaleServeClient;
  private _trans: TranslationBundle;
  private _pageSize: number;
  private _search: Debouncer;
  private _poll: Poll;
  private _isStarted = false;
  private _isReady = false;
  private _loading: AbortController | null = null;
  private _error: ApiError | null = null;
  private _query = '';
  private _items: readonly RegisteredName[] = [];
  private _cursor = '';
  private _total = 0;
  private _details = new Map<number, ModelListModel.IDetail>();
}

export namespace ModelListModel {
  export interface IOptions {
    client: KaleServeClient;
    trans: TranslationBundle;
    pageSize?: number;
    /**
     * Milliseconds without a key pressed before a search is sent.
     */
    delay?: number;
    /**
     * Milliseconds between two looks for news.
     */
    pollInterval?: number;
  }

  export interface IDetail {
    isLoading: boolean;
    value?: ModelDetail;
    error?: ApiError;
  }
}

/**
 * A name of the page before comes again where something was logged in between; it is kept once.
 */
function append(
  before: readonly RegisteredName[],
  page: RegisteredName[]
): RegisteredName[] {
  const known = new Set(before.map(item => item.latest.id));
  return [...before, ...page.filter(item => !known.has(item.latest.id))];
}

/**
 * The names that are not on a newer page.
 */
function without(
  before: readonly RegisteredName[],
  page: readonly RegisteredName[]
): RegisteredName[] {
  const newer = new Set(page.map(keyOf));
  return before.filter(item => !newer.has(keyOf(item)));
}

function holds(
  items: readonly RegisteredName[],
  { latest }: RegisteredName
): boolean {
  return items.some(item => item.latest.id === latest.id);
}

function keyOf({ latest }: RegisteredName): string {
  return `${latest.type} ${latest.name}`;
}

function isSame(
  a: readonly RegisteredName[],
  b: readonly RegisteredName[]
): boolean {
  return (
    a.length === b.length &&
    a.every(
      (item, i) =>
        item.latest.id === b[i].latest.id &&
        item.latest.updated === b[i].latest.updated &&
        item.versions === b[i].versions
    )
  );
}
