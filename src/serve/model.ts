import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { PromiseDelegate } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type {
  Artifact,
  Check,
  Plan,
  ProtocolName,
  RegisteredName,
  ServeBody,
  Service
} from '../api/types';
import { isObject } from '../api/types';
import type { EnvironmentsModel } from '../environments/model';
import { SetupModel } from '../environments/setup';
import type { ServicesModel } from '../services/model';
import type { IServeSubject } from '../tokens';

/**
 * The predictor's field for the share of its newest version.
 */
export const SHARE = 'canaryTrafficPercent';

/**
 * Stands for no transformer where there is one to remove.
 */
export const NO_TRANSFORMER = -1;

/**
 * The fields that a check or an error may be about.
 */
export type FieldName =
  | 'name'
  | 'version'
  | 'runtime'
  | 'transformer'
  | 'protocol'
  | 'method'
  | 'verify'
  | 'canary';

/**
 * What is typed and chosen in the Serve dialog, and the plan that the server makes of it.
 */
export class ServeFormModel extends VDomModel {
  constructor(options: ServeFormModel.IOptions) {
    super();
    const { subject } = options;
    this.canSplit = subject.canSplit ?? false;
    this._client = options.client;
    this._services = options.services;
    this._trans = options.trans;
    this._body = { ...subject.initial, model_id: subject.modelId };
    this._planner = new Debouncer(() => this._plan(), options.delay ?? 300);
    this.setup = new SetupModel({
      environments: options.environments,
      trans: options.trans,
      patience: options.patience,
      replan: isQuiet => void (isQuiet ? this._look() : this._change({}))
    });
    this.setup.stateChanged.connect(this._emit, this);
  }

  /**
   * Whether requests can be split between the version that is served now and the chosen one.
   */
  readonly canSplit: boolean;

  /**
   * What has to be installed before the chosen runtime can serve.
   */
  readonly setup: SetupModel;

  /**
   * The chosen version of the model; null until it is loaded.
   */
  get artifact(): Artifact | null {
    return this._versions.find(a => a.id === this._body.model_id) ?? null;
  }

  /**
   * The model's versions, the newest first.
   */
  get versions(): readonly Artifact[] {
    return this._versions;
  }

  get transformers(): readonly RegisteredName[] {
    return this._transformers;
  }

  /**
   * The older versions of a transformer, where they were asked for by choosing it.
   */
  transformerVersions(name: string): readonly Artifact[] {
    return this._transformerVersions.get(name) ?? [];
  }

  get name(): string {
    return this._body.name ?? '';
  }
  set name(name: string) {
    this._isNamed = true;
    this._change({ name });
  }

  /**
   * Whether the name was typed, rather than proposed.
   */
  get isNamed(): boolean {
    return this._isNamed;
  }

  get modelId(): number {
    return this._body.model_id ?? 0;
  }
  set modelId(model_id: number) {
    // The runtime that fitted one version need not fit another.
    this._change({ model_id, runtime: '' });
  }

  get runtime(): string {
    return this._body.runtime ?? '';
  }
  set runtime(runtime: string) {
    this._change({ runtime });
  }

  /**
   * 0 where none is chosen: then the one of the running service stays. `NO_TRANSFORMER` removes it.
   */
  get transformerId(): number {
    return this._body.remove?.includes('transformer')
      ? NO_TRANSFORMER
      : (this._body.transformer_id ?? 0);
  }
  set transformerId(id: number) {
    const isRemoved = id === NO_TRANSFORMER;
    this._change({
      transformer_id: isRemoved ? null : id || null,
      remove: isRemoved ? ['transformer'] : []
    });
    void this._listTransformerVersions(id);
  }

  get protocol(): ProtocolName {
    return this._body.protocol ?? '';
  }
  set protocol(protocol: ProtocolName) {
    this._change({ protocol });
  }

  /**
   * The estimator's method that answers; empty for the plan's choice.
   */
  get method(): string {
    return this._body.method ?? '';
  }
  set method(method: string) {
    this._change({ method });
  }

  /**
   * How many rows are recorded with the chosen version.
   */
  get recordedRows(): number {
    const count = this.artifact?.details.recorded_rows;
    return typeof count === 'number' ? count : 0;
  }

  /**
   * Whether a version that answers its recorded rows otherwise shall not take over. Until it is chosen, what the plan
   * says: a service that is there keeps its own.
   */
  get isRequired(): boolean {
    return (this._body.verify || this._lastPlan?.verify) === 'require';
  }
  set isRequired(isRequired: boolean) {
    this._change({ verify: isRequired ? 'require' : 'warn' });
  }

  /**
   * Percent of the requests that the chosen version gets; null while it is no whole number.
   */
  get share(): number | null {
    const { predictor } = this._body.config ?? {};
    const percent = isObject(predictor) ? predictor[SHARE] : undefined;
    return percent === undefined ? 100 : (percent as number | null);
  }
  set share(percent: number | null) {
    const { predictor, ...config } = this._body.config ?? {};
    this._change({
      config: {
        ...config,
        predictor: {
          ...(isObject(predictor) ? predictor : {}),
          [SHARE]: percent
        }
      }
    });
  }

  /**
   * Whether a service is to be changed that was not made here.
   */
  get isTakeover(): boolean {
    return this._body.update ?? false;
  }
  set isTakeover(update: boolean) {
    this._change({ update });
  }

  /**
   * Whether fields are to be changed that other programs have set.
   */
  get isForced(): boolean {
    return this._body.force ?? false;
  }
  set isForced(force: boolean) {
    this._change({ force });
  }

  /**
   * The last plan made; stale while `isPlanning`.
   */
  get plan(): Plan | null {
    return this._lastPlan;
  }

  /**
   * Whether what is chosen now has no plan yet.
   */
  get isPlanning(): boolean {
    return this._isPlanning;
  }

  /**
   * What kept the lists or the plan from being made.
   */
  get error(): ApiError | null {
    return this._error;
  }

  get isServing(): boolean {
    return this._isServing;
  }

  /**
   * What kept the last press of Serve from being done.
   */
  get serveError(): ApiError | null {
    return this._serveError;
  }

  /**
   * Whether Serve can be pressed. It can while the plan is being made, and waits for it then: whoever goes from the last
   * field to the button by keyboard must find it.
   */
  get canServe(): boolean {
    return !this._isServing && (this._isPlanning || this._isPlanned);
  }

  /**
   * Whether the service is as it is chosen already.
   */
  get isUnchanged(): boolean {
    const plan = this._lastPlan;
    return (
      plan !== null &&
      plan.ok &&
      plan.exists &&
      plan.changes.length === 0 &&
      plan.differences.length === 0
    );
  }

  /**
   * What is wrong with a field.
   */
  fieldChecks(field: FieldName): readonly Check[] {
    const found = (this._lastPlan?.checks ?? []).filter(
      check => fieldOf(check.field) === field && isAgainst(check)
    );
    const error = this._serveError ?? this._error;
    return error && fieldOf(error.field) === field
      ? [...found, asCheck(error)]
      : found;
  }

  /**
   * The checks that belong to no field, and all that went well.
   */
  get generalChecks(): readonly Check[] {
    return (this._lastPlan?.checks ?? []).filter(
      check => !isAgainst(check) || fieldOf(check.field) === null
    );
  }

  /**
   * Fetch what the fields offer, and make the first plan.
   */
  async load(): Promise<void> {
    this._isPlanning = true;
    const planned = this._plan();
    try {
      const [detail, transformers] = await Promise.all([
        this._client.model(this.modelId),
        this._client.transformers({ limit: 500 })
      ]);
      this._versions = detail.versions.some(a => a.id === detail.artifact.id)
        ? detail.versions
        : [detail.artifact, ...detail.versions];
      this._transformers = transformers.items;
    } catch (error) {
      this._error = ApiError.from(error, this._trans);
    }
    this._emit();
    await this._listTransformerVersions(this.transformerId);
    await planned;
  }

  /**
   * Serve what is chosen, once its plan is made; null where it could not be, with the reason in the plan or `serveError`.
   */
  async serve(): Promise<Service | null> {
    if (!this.canServe) {
      return null;
    }
    this._isServing = true;
    this._serveError = null;
    this._emit();
    try {
      const chosen = this._changes;
      await this._planned();
      if (!this._isPlanned || chosen !== this._changes) {
        return null;
      }
      return await this._services.serve({
        ...this._body,
        name: this.name || this._lastPlan?.name
      });
    } catch (error) {
      this._serveError = ApiError.from(error, this._trans);
      return null;
    } finally {
      this._isServing = false;
      this._emit();
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.setup.dispose();
    this._planner.dispose();
    this._request?.abort();
    super.dispose();
    Signal.clearData(this);
  }

  /**
   * Whether there is a plan that can be carried out, and something to do in it.
   */
  private get _isPlanned(): boolean {
    return (
      this._lastPlan?.ok === true && !this.isUnchanged && !this._lastPlan.setup
    );
  }

  /**
   * Settled when what is chosen has a plan, or is known to have none.
   */
  private async _planned(): Promise<void> {
    if (!this._isPlanning) {
      return;
    }
    const planned = new PromiseDelegate<void>();
    const look = () => {
      if (!this._isPlanning) {
        planned.resolve();
      }
    };
    this.stateChanged.connect(look);
    await planned.promise;
    this.stateChanged.disconnect(look);
  }

  private _change(change: ServeBody): void {
    this._body = { ...this._body, ...change };
    this._changes++;
    // The plan that is under way is for what was chosen before.
    this._request?.abort();
    this._request = null;
    this._isPlanning = true;
    this._serveError = null;
    this._emit();
    this._planner.invoke().catch(() => undefined);
  }

  private async _plan(isLook = false): Promise<void> {
    this._request?.abort();
    const request = (this._request = new AbortController());
    const isCurrent = () => request === this._request && !this.isDisposed;
    this.setup.planning();
    try {
      const plan = await this._client.plan(this._body, request.signal);
      if (!isCurrent()) {
        return;
      }
      this._lastPlan = plan;
      this._error = null;
      if (!this._isNamed && !this.name) {
        this._body = { ...this._body, name: plan.name };
      }
    } catch (error) {
      if (!isCurrent() || isLook) {
        return;
      }
      this._lastPlan = null;
      this._error = ApiError.from(error, this._trans);
    }
    this._isPlanning = false;
    this.setup.planned(this._lastPlan?.setup ?? null);
    this._emit();
  }

  /**
   * See what has become of the last plan, unless another one is being made; it stays where that cannot be seen.
   */
  private async _look(): Promise<void> {
    if (!this._isPlanning && !this.isDisposed) {
      await this._plan(true);
    }
  }

  private async _listTransformerVersions(id: number): Promise<void> {
    if (id <= 0 || [...this._transformerVersions.values()].some(has(id))) {
      return;
    }
    const listed = this._transformers.find(t => t.latest.id === id);
    if (listed && listed.versions < 2) {
      return;
    }
    try {
      const { artifact, versions } = await this._client.model(id);
      this._transformerVersions.set(artifact.name, versions);
    } catch (error) {
      this._error = ApiError.from(error, this._trans);
    }
    this._emit();
  }

  private _emit(): void {
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private _client: KaleServeClient;
  private _services: ServicesModel;
  private _trans: TranslationBundle;
  private _body: ServeBody;
  private _planner: Debouncer;
  private _request: AbortController | null = null;
  private _versions: readonly Artifact[] = [];
  private _transformers: readonly RegisteredName[] = [];
  private _transformerVersions = new Map<string, readonly Artifact[]>();
  private _changes = 0;
  private _lastPlan: Plan | null = null;
  private _isNamed = false;
  private _isPlanning = false;
  private _isServing = false;
  private _error: ApiError | null = null;
  private _serveError: ApiError | null = null;
}

export namespace ServeFormModel {
  export interface IOptions {
    client: KaleServeClient;
    services: ServicesModel;
    environments: EnvironmentsModel;
    subject: IServeSubject;
    trans: TranslationBundle;
    /**
     * Milliseconds without a change before a plan is asked for.
     */
    delay?: number;
    /**
     * Milliseconds without a word on an installation before a plan is asked for.
     */
    patience?: number;
  }
}

/**
 * The form's field for the server's name of it; null for what the form does not hold.
 */
export function fieldOf(field: string): FieldName | null {
  switch (field) {
    case 'name':
    case 'version':
    case 'runtime':
    case 'transformer':
    case 'protocol':
    case 'method':
    case 'verify':
    case 'canary':
      return field;
    case 'model_id':
      return 'version';
    case 'transformer_id':
      return 'transformer';
    default:
      return null;
  }
}

/**
 * Whether a check speaks against what was chosen.
 */
function isAgainst(check: Check): boolean {
  return check.level === 'error' || check.level === 'warning';
}

function asCheck(error: ApiError): Check {
  const { reason, message, hint, field } = error;
  return { level: 'error', code: reason, message, hint, field };
}

function has(id: number): (versions: readonly Artifact[]) => boolean {
  return versions => versions.some(artifact => artifact.id === id);
}
