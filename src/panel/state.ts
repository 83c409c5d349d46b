import type { IStateDB } from '@jupyterlab/statedb';
import { VDomModel } from '@jupyterlab/ui-components';
import { Debouncer } from '@lumino/polling';
import { isObject } from '../api/types';

const STATE_KEY = 'kale-serve-ext:panel';

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
    this._save.dispose();
    super.dispose();
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
