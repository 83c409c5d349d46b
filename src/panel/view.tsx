import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { ApiError } from '../api/errors';
import { UseSignals } from '../components/signals';
import { TransContext } from '../components/trans';
import { HealthView } from '../health/view';
import { ModelsView } from '../models/view';
import { ServicesView } from '../services/view';
import type { IKaleServe } from '../tokens';
import type { IActions } from './actions';
import type { PanelState } from './state';

export interface IPanelViewProps {
  kale: IKaleServe;
  state: PanelState;
  actions: IActions;
  trans: TranslationBundle;
  /**
   * Called once the panel is drawn.
   */
  onReady?: () => void;
}

/**
 * The whole panel: how the backends do, what is served, what could be.
 */
export default function PanelView(props: IPanelViewProps): JSX.Element {
  const { kale, state, actions, trans, onReady } = props;
  React.useEffect(() => onReady?.(), [onReady]);
  return (
    <TransContext.Provider value={trans}>
      <UseSignals
        signals={[
          kale.health.stateChanged,
          kale.services.stateChanged,
          kale.models.stateChanged,
          state.stateChanged
        ]}
      >
        {() => <Panel kale={kale} state={state} actions={actions} />}
      </UseSignals>
    </TransContext.Provider>
  );
}

function Panel(
  props: Pick<IPanelViewProps, 'kale' | 'state' | 'actions'>
): JSX.Element {
  const { kale, state, actions } = props;
  const away = awayError(kale);
  return (
    <>
      <HealthView
        model={kale.health}
        away={away}
        onRefresh={() => {
          void kale.health.refresh();
          void kale.services.refresh();
          void kale.models.refresh();
        }}
      />
      <ServicesView
        model={kale.services}
        error={away ? null : kale.services.error}
        client={kale.client}
        engines={kale.health.health?.engines ?? []}
        state={state}
        actions={actions}
        hasModels={kale.models.total > 0}
      />
      <ModelsView
        model={kale.models}
        error={away || isToldAbove(kale) ? null : kale.models.error}
        services={kale.services.services}
        state={state}
        actions={actions}
      />
    </>
  );
}

/**
 * That the server, or our part of it, is not there, whoever found out: that is told once, at the top.
 */
function awayError({ health, services, models }: IKaleServe): ApiError | null {
  const errors = [health.error, services.error, models.error];
  return errors.find(error => error?.isAway) ?? null;
}

/**
 * Whether the models are not listed since the metadata engine is not ready, which its health tells, or will in a moment.
 */
function isToldAbove({ health, models }: IKaleServe): boolean {
  const metadata = health.health?.backends.metadata?.state;
  return models.error?.reason === 'MetadataUnavailable' && metadata !== 'ready';
}
