import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import { ApiError } from '../api/errors';
import type { Setup } from '../api/types';
import type {
  EnvironmentsModel,
  EnvironmentState,
  IEnvironmentChange
} from './model';
import { concerns } from './model';

/**
 * What a plan lacks on this machine, as far as it is: what the plan says, and what was heard since it was asked for.
 */
export class SetupModel extends VDomModel {
  constructor(options: SetupModel.IOptions) {
    super();
    this._environments = options.environments;
    this._trans = options.trans;
    this._replan = options.replan;
    this._patience = options.patience ?? 3000;
    this._environments.changed.connect(this._onChange, this);
  }

  /**
   * What has to be installed before the plan can be carried out; null where nothing has to.
   */
  get lacks(): Setup | null {
    return this._lacks;
  }

  /**
   * What kept the installation from being cancelled.
   */
  get error(): ApiError | null {
    return this._error;
  }

  /**
   * A plan is asked for. It knows what was heard before.
   */
  planning(): void {
    this._heard = [];
  }

  /**
   * The plan is made.
   */
  planned(lacks: Setup | null): void {
    this._lacks = lacks;
    const heard =
      lacks && this._heard.filter(change => concerns(change, lacks)).pop();
    this._follow(heard || null);
  }

  /**
   * Begin to install it.
   */
  async install(): Promise<void> {
    const lacks = this._lacks;
    if (!lacks) {
      return;
    }
    this._tell(lacks, { state: 'installing', message: '', hint: '' });
    try {
      const found = await this._environments.install(lacks);
      // An event that came meanwhile may be newer, but for an end without one.
      if (found.state !== 'installing') {
        this._tell(lacks, found);
      }
    } catch (error) {
      const { message, hint } = ApiError.from(error, this._trans);
      this._tell(lacks, { state: 'failed', message, hint });
    }
  }

  /**
   * Cancel the installation.
   */
  async cancel(): Promise<void> {
    if (!this._lacks) {
      return;
    }
    this._error = null;
    try {
      await this._environments.cancel(this._lacks);
    } catch (error) {
      const failure = ApiError.from(error, this._trans);
      if (this.isDisposed) {
        return;
      }
      // It has ended meanwhile, or only another process installs it: the plan tells.
      this._error = failure.status === 404 ? null : failure;
      this.stateChanged.emit();
      this._replan(true);
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    clearTimeout(this._timer);
    this._environments.changed.disconnect(this._onChange, this);
    super.dispose();
    Signal.clearData(this);
  }

  private _tell(
    { environment, python_version }: Setup,
    { state, message, hint }: EnvironmentState
  ): void {
    const which = { name: environment, python_version };
    this._onChange(this._environments, { ...which, state, message, hint });
  }

  private _onChange(_: EnvironmentsModel, change: IEnvironmentChange): void {
    if (this.isDisposed) {
      return;
    }
    this._heard.push(change);
    if (this._lacks && concerns(change, this._lacks)) {
      this._follow(change);
      this.stateChanged.emit();
    }
  }

  /**
   * Take over what was heard. Of what is ready only a new plan knows what comes next: until it is made, all stays as it is.
   */
  private _follow(heard: EnvironmentState | null): void {
    if (this._lacks && heard && heard.state !== 'ready') {
      const { state, message, hint } = heard;
      // Events tell of what this server does.
      const cancellable = state === 'installing';
      this._lacks = { ...this._lacks, state, message, hint, cancellable };
    }
    if (!this._lacks?.cancellable) {
      this._error = null;
    }
    clearTimeout(this._timer);
    if (this._lacks?.state === 'installing') {
      // Another process tells nothing, and an event can be lost.
      this._timer = setTimeout(() => {
        this._follow(null);
        this._replan(true);
      }, this._patience);
    }
    if (this._lacks && heard?.state === 'ready') {
      this._replan(false);
    }
  }

  private _environments: EnvironmentsModel;
  private _trans: TranslationBundle;
  private _replan: (isQuiet: boolean) => void;
  private _patience: number;
  private _lacks: Setup | null = null;
  private _heard: IEnvironmentChange[] = [];
  private _error: ApiError | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}

export namespace SetupModel {
  export interface IOptions {
    environments: EnvironmentsModel;
    trans: TranslationBundle;
    /**
     * Have the plan made anew; quietly where nothing is known to have changed.
     */
    replan: (isQuiet: boolean) => void;
    /**
     * Milliseconds without a word on an installation before the plan is asked how far it is.
     */
    patience?: number;
  }
}
