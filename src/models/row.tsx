import * as React from 'react';
import type { RegisteredName, Service } from '../api/types';
import { ActionButton } from '../components/button';
import { Disclosure } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { Moment } from '../components/moment';
import { useRoving } from '../components/roving';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import type { PanelState } from '../panel/state';
import { ModelDetails } from './details';
import type { ModelListModel } from './model';

/**
 * One registered model: its name, its newest version, and the button that serves it.
 *
 * It is drawn anew only where one of its properties changed: a search is typed above hundreds of rows.
 */
export const ModelRow = React.memo(function ModelRow(props: {
  item: RegisteredName;
  model: ModelListModel;
  detail: ModelListModel.IDetail | undefined;
  services: readonly Service[];
  isOpen: boolean;
  actions: IActions;
  /**
   * The key of the row in the panel's state.
   */
  rowKey: string;
  state: PanelState;
}): JSX.Element {
  const trans = useTrans();
  const { item, model, detail, isOpen, actions } = props;
  const { latest, versions } = item;
  const row = React.useRef<HTMLLIElement>(null);
  const roving = useRoving(row);
  const detailsId = React.useId();
  const needsDetail = isOpen && detail === undefined;
  React.useEffect(() => {
    if (needsDetail) {
      void model.open(latest.id);
    }
  }, [needsDetail, model, latest.id]);
  return (
    <li
      ref={row}
      {...roving}
      className="jp-KaleRow jp-KaleServe-modelRow"
      aria-label={
        latest.format
          ? trans.__('%1, %2', latest.name, latest.format)
          : latest.name
      }
      data-model-id={latest.id}
    >
      <div className="jp-KaleRow-head">
        <Disclosure
          className="jp-KaleRow-name"
          label={latest.name}
          isOpen={isOpen}
          title={latest.name}
          controls={detailsId}
          isRoving
          onToggle={() => props.state.toggle(props.rowKey)}
        />
        <ActionButton
          label={trans.__('Serve')}
          name={trans.__('Serve %1', latest.name)}
          isRoving
          glyph="serve"
          kind="accept"
          title={trans.__('Serve this model')}
          onClick={() => actions.serve({ modelId: latest.id })}
        />
      </div>
      <div className="jp-KaleRow-body">
        <div className="jp-KaleRow-sub">
          {latest.format && (
            <span className="jp-KaleChip">{latest.format}</span>
          )}
          {latest.version && <span>{trans.__('v%1', latest.version)}</span>}
          {versions > 1 && (
            <span>{trans._n('%1 version', '%1 versions', versions)}</span>
          )}
          <Moment at={latest.created} />
        </div>
        {isOpen && (
          <div id={detailsId}>
            {detail?.isLoading && (
              <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
            )}
            {detail?.error && (
              <ErrorNote
                error={detail.error}
                onRetry={() => void model.open(latest.id)}
              />
            )}
            {detail?.value && (
              <ModelDetails
                detail={detail.value}
                services={props.services}
                actions={actions}
              />
            )}
          </div>
        )}
      </div>
    </li>
  );
});
