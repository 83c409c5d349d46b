import type { IStateDB } from '@jupyterlab/statedb';
import { VDomModel } from '@jupyterlab/ui-components';
import { Debouncer } from '@lumino/polling';
import { isObject } from '../api/types';

const STATE_KEY = 'kale-serve-ext:panel';
/**
 * How long a row stays marked, in milliseconds.
 */
const MARKED = 2500;

/**
 * How the user left the panel: the search, the rows that are open, the sections that are shut.
 */
export class PanelState extends VDomModel {
  constructor(options: PanelState.IOptions = {}) {
    super();
    this._db = options.db ?? null;
    this._save = new Debouncer(() => this._store(), options.delay ?? 500);
  }

  get query(): string {
    return this._query;
  }
  set query(query: string) {
    this._query = query;
    this._changed();
  }

  isOpen(key: string): boolean {
    return this._open.has(key);
  }

  toggle(key: string): void {
    const open = new Set(this._open);
    if (!open.delete(key)) {
      open.add(key);
    }
    this._open = open;
    this._changed();
  }

  /**
   * The row that something has just been done to, for a moment.
   */
  get marked(): string | null {
    return this._marked;
  }

  /**
   * Bring a row into sight, opening the section that it is in, and mark it for a moment from when it is drawn.
   */
  mark(key: string, section: string): void {
    if (this._marked === key && this._unmark) {
      this.drawn(key);
    } else {
      this._stopUnmark();
      this._marked = key;
    }
    if (this.isOpen(`shut:${section}`)) {
      this.toggle(`shut:${section}`);
    } else {
      this.stateChanged.emit();
    }
  }

  /**
   * A row is drawn; the marked one is, from now on, for a moment only.
   */
  drawn(key: string): void {
    if (this._marked !== key) {
      return;
    }
    this._stopUnmark();
    this._unmark = window.setTimeout(() => {
      this._unmark = 0;
      this._marked = null;
      this.stateChanged.emit();
    }, MARKED);
  }

  /**
   * Take over what was saved, but for what the user did meanwhile.
   */
  async restore(): Promise<void> {
    const saved = await this._db?.fetch(STATE_KEY);
    if (this._isTouched || this.isDisposed || !isObject(saved)) {
      return;
    }
    this._query = typeof saved.query === 'string' ? saved.query : '';
    this._open = new Set(
      Array.isArray(saved.open)
        ? saved.open.filter((key): key is string => typeof key === 'string')
        : []
    );
    this.stateChanged.emit();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._stopUnmark();
    this._save.dispose();
    super.dispose();
  }

  private _stopUnmark(): void {
    window.clearTimeout(this._unmark);
    this._unmark = 0;
  }

  private _changed(): void {
    this._isTouched = true;
    this.stateChanged.emit();
    this._save.invoke().catch(() => undefined);
  }

  private async _store(): Promise<void> {
    // Rows of services and models that are gone need not be remembered for ever.
    const open = [...this._open].slice(-200);
    await this._db?.save(STATE_KEY, { query: this._query, open });
  }

  private _db: IStateDB | null;
  private _save: Debouncer;
  private _query = '';
  private _open: ReadonlySet<string> = new Set();
  private _isTouched = false;
  private _marked: string | null = null;
  private _unmark = 0;
}

export namespace PanelState {
  export interface IOptions {
    db?: IStateDB | null;
    /**
     * Milliseconds of rest before the state is saved.
     */
    delay?: number;
  }
}
