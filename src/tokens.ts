import { Token } from '@lumino/coreutils';
import type { KaleServeClient } from './api/client';
import type { ServeBody, ServiceRef } from './api/types';
import type { EnvironmentsModel } from './environments/model';
import type { HealthModel } from './health/model';
import type { ModelListModel } from './models/model';
import type { ServicesModel } from './services/model';

/**
 * Models and services as the browser knows them. One instance serves every view.
 */
export interface IKaleServe {
  readonly client: KaleServeClient;
  readonly environments: EnvironmentsModel;
  readonly health: HealthModel;
  readonly models: ModelListModel;
  readonly services: ServicesModel;
  readonly settings: IKaleServeSettings;

  /**
   * Begin to ask the server; called by whatever is first to show something. Later calls have no effect.
   */
  start(): void;
}

export const IKaleServe = new Token<IKaleServe>(
  'kale-serve-ext:IKaleServe',
  'Models and services, and the client of their REST API.'
);

/**
 * The panel in the left sidebar.
 */
export interface IKaleServePanel {
  /**
   * Show the panel: with the cursor in its search box, or a service's row in sight and marked, where that is asked for.
   */
  reveal(options?: { search?: boolean; service?: ServiceRef }): void;
}

export const IKaleServePanel = new Token<IKaleServePanel>(
  'kale-serve-ext:IKaleServePanel',
  'The panel of models and services in the left sidebar.'
);

/**
 * What the user set; the defaults are those of `schema/plugin.json`.
 */
export interface IKaleServeSettings {
  /**
   * Seconds between two lists of the services.
   */
  pollInterval: number;
  /**
   * Models on one page of the list.
   */
  pageSize: number;
  /**
   * Lines of a log kept in a view.
   */
  logLines: number;
  /**
   * Whether to notify when a service that was served from this window is ready or fails.
   */
  notify: boolean;
}

/**
 * What the Serve dialog starts from.
 */
export interface IServeSubject {
  /**
   * The model; the dialog lists its other versions.
   */
  modelId: number;
  /**
   * Whether requests can be split between the version that is served now and another.
   */
  canSplit?: boolean;
  /**
   * What the fields hold at first, as for an update.
   */
  initial?: Omit<ServeBody, 'model_id'>;
}
