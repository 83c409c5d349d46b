import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import { refKey } from '../api/types';
import { ErrorNote } from '../components/note';
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
   * Whether the server, or our part of it, is not there, which is told elsewhere.
   */
  isAway: boolean;
  client: KaleServeClient;
  state: PanelState;
  actions: IActions;
  hasModels: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { model, client, state, actions } = props;
  const { services, error } = model;
  return (
    <Section
      id="services"
      title={trans.__('Services')}
      count={services.length}
      state={state}
    >
      {error && !props.isAway && (
        <ErrorNote error={error} onRetry={() => void model.refresh()} />
      )}
      {services.length > 0 ? (
        <ul className={`jp-KaleList${error ? ' jp-mod-stale' : ''}`}>
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
      {services.length === 0 && !model.isReady && !error && (
        <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
      )}
    </Section>
  );
}
