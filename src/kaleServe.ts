import type { Event, ServiceManager } from '@jupyterlab/services';
import type { ITranslator } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import { KaleServeClient } from './api/client';
import type { ApiError } from './api/errors';
import { EnvironmentsModel } from './environments/model';
import { HealthModel } from './health/model';
import { ModelListModel } from './models/model';
import { ServicesModel } from './services/model';
import type { IKaleServe, IKaleServeSettings } from './tokens';

/**
 * The schema of the server's events about the engine.
 */
const ENGINE_SCHEMA = 'https://schema.jupyter.org/kale_serve_ext/engine/v1';

/**
 * The models of everything the views show, over one client.
 */
export class KaleServe implements IKaleServe {
  constructor(options: KaleServe.IOptions) {
    const translator = options.translator ?? nullTranslator;
    const trans = translator.load('kale_serve_ext');
    const { serverSettings, events } = options.serviceManager;
    const client = (this.client = new KaleServeClient({
      serverSettings,
      translator
    }));
    this.health = new HealthModel({ client, trans });
    this.models = new ModelListModel({
      client,
      trans,
      pageSize: this.settings.pageSize
    });
    this.services = new ServicesModel({
      client,
      events,
      trans,
      pollInterval: this.settings.pollInterval * 1000
    });
    this.environments = new EnvironmentsModel({ client, events });
    for (const model of [this.health, this.services, this.models]) {
      model.stateChanged.connect(this._onModel, this);
    }
    this.health.stateChanged.connect(this._onHealth, this);
    events.stream.connect(this._onEvent, this);
  }

  readonly client: KaleServeClient;
  readonly environments: EnvironmentsModel;
  readonly health: HealthModel;
  readonly models: ModelListModel;
  readonly services: ServicesModel;

  get settings(): IKaleServeSettings {
    return this._settings;
  }
  set settings(settings: IKaleServeSettings) {
    this._settings = settings;
    this.models.pageSize = settings.pageSize;
    this.services.pollInterval = settings.pollInterval * 1000;
  }

  start(): void {
    this.health.start();
    this.services.start();
    this.models.start();
  }

  /**
   * Why a list does not come in, the health tells; and once one model has its answer, the others that wait get theirs.
   */
  private _onModel(model: IRefreshed): void {
    if ((model.error !== null) === this._failing.has(model)) {
      return;
    }
    if (model.error) {
      this._failing.add(model);
      if (model !== this.health) {
        void this.health.refresh();
      }
    } else {
      this._failing.delete(model);
      for (const other of this._failing) {
        void other.refresh();
      }
    }
  }

  /**
   * The services of other engines than before are others; metadata that has become ready has models to list.
   */
  private _onHealth(): void {
    const metadata = this.health.health?.backends.metadata?.state;
    if (
      metadata === 'ready' &&
      this._metadata !== 'ready' &&
      this.models.error
    ) {
      void this.models.refresh();
    }
    this._metadata = metadata;
    const engines = JSON.stringify(this.health.health?.engines ?? null);
    if (this._engines !== null && this._engines !== engines) {
      void this.services.refresh();
    }
    this._engines = this.health.health && engines;
  }

  private _onEvent(_: Event.IManager, emission: Event.Emission): void {
    if (emission.schema_id === ENGINE_SCHEMA) {
      void this.health.refresh();
    }
  }

  private _engines: string | null = null;
  private _metadata: string | undefined;
  private _failing = new Set<IRefreshed>();
  private _settings: IKaleServeSettings = {
    pollInterval: 10,
    pageSize: 50,
    logLines: 5000,
    notify: true
  };
}

interface IRefreshed {
  readonly error: ApiError | null;
  refresh(): Promise<void>;
}

export namespace KaleServe {
  export interface IOptions {
    serviceManager: ServiceManager.IManager;
    translator?: ITranslator | null;
  }
}
