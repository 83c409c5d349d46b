import { UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
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
      <UseSignal signal={kale.health.stateChanged}>
        {() => (
          <HealthView
            model={kale.health}
            onRefresh={() => {
              void kale.health.refresh();
              void kale.services.refresh();
              void kale.models.refresh();
            }}
          />
        )}
      </UseSignal>
      <UseSignal signal={state.stateChanged}>
        {() => (
          <UseSignal signal={kale.services.stateChanged}>
            {() => (
              <UseSignal signal={kale.models.stateChanged}>
                {() => (
                  <>
                    <ServicesView
                      model={kale.services}
                      isAway={isAway(kale)}
                      client={kale.client}
                      state={state}
                      actions={actions}
                      hasModels={kale.models.total > 0}
                    />
                    <ModelsView
                      model={kale.models}
                      services={kale.services.services}
                      isAway={isAway(kale)}
                      state={state}
                      actions={actions}
                    />
                  </>
                )}
              </UseSignal>
            )}
          </UseSignal>
        )}
      </UseSignal>
    </TransContext.Provider>
  );
}

/**
 * Whether the server, or our part of it, is not there: that is told once, at the top.
 */
function isAway({ health }: IKaleServe): boolean {
  const reason = health.error?.reason;
  return reason === 'ExtensionMissing' || reason === 'Network';
}
