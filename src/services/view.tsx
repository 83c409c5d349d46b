import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import type { ApiError } from '../api/errors';
import type { EngineInfo, Service } from '../api/types';
import { refKey } from '../api/types';
import { ErrorNote } from '../components/note';
import { useNeighbourFocus } from '../components/roving';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { Section } from '../panel/section';
import type { PanelState } from '../panel/state';
import type { ServicesModel } from './model';
import { ServiceRow } from './row';

/**
 * What is served.
 */
export function ServicesView(props: {
  model: ServicesModel;
  /**
   * What keeps the list from coming in, unless it is told elsewhere.
   */
  error: ApiError | null;
  client: KaleServeClient;
  /**
   * The engines there are, with what they can do.
   */
  engines: readonly EngineInfo[];
  state: PanelState;
  actions: IActions;
  hasModels: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { model, error, client, engines, state, actions } = props;
  const { services } = model;
  const list = React.useRef<HTMLUListElement>(null);
  const listeners = useNeighbourFocus(
    list,
    services.map(({ ref }) => refKey(ref))
  );
  return (
    <Section
      id="services"
      title={trans.__('Services')}
      count={services.length}
      state={state}
    >
      {error && (
        <ErrorNote error={error} onRetry={() => void model.refresh()} />
      )}
      {services.length > 0 ? (
        <ul
          ref={list}
          {...listeners}
          className={`jp-KaleList${model.isStale ? ' jp-mod-stale' : ''}`}
        >
          {services.map(service => {
            const key = refKey(service.ref);
            return (
              <ServiceRow
                key={key}
                service={service}
                client={client}
                isOpen={state.isOpen(`service:${key}`)}
                isBusy={model.isBusy(service.ref)}
                error={model.actionError(service.ref)}
                actions={actions}
                rowKey={`service:${key}`}
                isMarked={state.marked === `service:${key}`}
                isStale={model.isStale}
                hasRevisions={engineOf(service, engines)?.revisions ?? false}
                state={state}
                model={model}
              />
            );
          })}
        </ul>
      ) : (
        model.isReady && (
          <p className="jp-KaleEmpty">
            {props.hasModels
              ? trans.__(
                  'Nothing is served yet. Choose a model below to put it behind an address of its own.'
                )
              : trans.__('Nothing is served yet.')}
          </p>
        )
      )}
      {services.length === 0 && !model.isReady && !model.error && (
        <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
      )}
    </Section>
  );
}

function engineOf(
  { ref }: Service,
  engines: readonly EngineInfo[]
): EngineInfo | undefined {
  return engines.find(
    one =>
      one.kind === ref.engine &&
      one.context === ref.context &&
      one.namespace === ref.namespace
  );
}
