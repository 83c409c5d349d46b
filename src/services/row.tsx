import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { KaleServeClient } from '../api/client';
import type { Service } from '../api/types';
import { ActionButton } from '../components/button';
import { Disclosure } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import type { PanelState } from '../panel/state';
import { ServiceDetails } from './details';
import type { ServicesModel } from './model';
import { PhaseStatus, phaseWord } from './phase';

/**
 * One service: what it is, how it does, what can be done with it.
 */
export const ServiceRow = React.memo(function ServiceRow(props: {
  service: Service;
  client: KaleServeClient;
  isOpen: boolean;
  isBusy: boolean;
  error: ApiError | null;
  actions: IActions;
  rowKey: string;
  state: PanelState;
  model: ServicesModel;
}): JSX.Element {
  const trans = useTrans();
  const { service, isOpen, isBusy, error, actions } = props;
  const { ref, phase } = service;
  const detailsId = React.useId();
  const isEnding = phase === 'Terminating';
  const isDown = phase === 'Paused' || phase === 'Stopped';
  return (
    <li
      className="jp-KaleRow jp-KaleServe-serviceRow"
      aria-label={trans.__('%1, %2', ref.name, phaseWord(phase, trans))}
      data-engine={ref.engine}
      data-context={ref.context}
      data-namespace={ref.namespace}
      data-name={ref.name}
    >
      <div className="jp-KaleRow-head">
        <Disclosure
          className="jp-KaleRow-name"
          label={ref.name}
          isOpen={isOpen}
          controls={detailsId}
          onToggle={() => props.state.toggle(props.rowKey)}
        />
      </div>
      <div className="jp-KaleRow-body">
        <PhaseStatus service={service} />
        <ServedLine service={service} />
        <div className="jp-KaleRow-actions">
          <ActionButton
            label={trans.__('Test')}
            glyph="send"
            disabled={isEnding}
            title={trans.__('Send a test request')}
            onClick={() => actions.test(ref)}
          />
          <ActionButton
            label={trans.__('Logs')}
            glyph="logs"
            title={trans.__('Show the logs')}
            onClick={() => actions.logs(ref)}
          />
          {isDown ? (
            <ActionButton
              label={trans.__('Resume')}
              glyph="play"
              disabled={isBusy}
              title={trans.__('Start the service again')}
              onClick={() => actions.resume(ref)}
            />
          ) : (
            service.can_pause && (
              <ActionButton
                label={trans.__('Pause')}
                glyph="pause"
                disabled={isBusy || isEnding}
                title={trans.__('Stop the processes, keep the service')}
                onClick={() => actions.pause(ref)}
              />
            )
          )}
          {service.model !== null && service.model.id > 0 && (
            <ActionButton
              label={trans.__('Update')}
              glyph="edit"
              disabled={isBusy || isEnding}
              title={trans.__('Change the version or the settings')}
              onClick={() => actions.update(ref)}
            />
          )}
          <ActionButton
            label={trans.__('Delete')}
            glyph="trash"
            disabled={isBusy || isEnding}
            title={trans.__('Delete the service')}
            onClick={() => actions.remove(ref)}
          />
        </div>
        {error && (
          <ErrorNote
            error={error}
            onDismiss={() => props.model.dismissActionError(ref)}
          />
        )}
        {isOpen && (
          <div id={detailsId}>
            <ServiceDetails
              service={service}
              client={props.client}
              isBusy={isBusy}
              actions={actions}
            />
          </div>
        )}
      </div>
    </li>
  );
});

/**
 * The model, its version and the transformer, in one line.
 */
function ServedLine({ service }: { service: Service }): JSX.Element | null {
  const trans = useTrans();
  const { model, transformer, ours } = service;
  if (!model && !transformer && ours) {
    return null;
  }
  return (
    <div className="jp-KaleRow-sub">
      {!ours && <span>{trans.__('Not made here')}</span>}
      {model && (
        <span>
          {model.version
            ? trans.__('%1 v%2', model.name, model.version)
            : model.name}
        </span>
      )}
      {transformer && (
        <span>
          {transformer.version
            ? trans.__('with %1 v%2', transformer.name, transformer.version)
            : trans.__('with %1', transformer.name)}
        </span>
      )}
    </div>
  );
}
