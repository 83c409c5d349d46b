import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { KaleServeClient } from '../api/client';
import type { Service } from '../api/types';
import { ActionButton } from '../components/button';
import { Disclosure } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { useRoving } from '../components/roving';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import type { PanelState } from '../panel/state';
import {
  canDelete,
  canPause,
  canRollBack,
  canTest,
  canUpdate,
  isDown,
  isToCome
} from './abilities';
import { ServiceDetails } from './details';
import type { ServicesModel } from './model';
import { UploadStatus } from './upload';
import { titleOf } from './words';
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
  /**
   * Whether something has just been done to it.
   */
  isMarked: boolean;
  /**
   * Whether it is not known how the service does now.
   */
  isStale: boolean;
  hasRevisions: boolean;
  state: PanelState;
  model: ServicesModel;
}): JSX.Element {
  const trans = useTrans();
  const { service, isOpen, isBusy, isMarked, isStale, error, actions } = props;
  const { state, rowKey } = props;
  const { ref, phase } = service;
  const row = React.useRef<HTMLLIElement>(null);
  const roving = useRoving(row);
  React.useEffect(() => {
    if (isMarked) {
      row.current?.scrollIntoView({ block: 'nearest' });
      state.drawn(rowKey);
    }
  }, [isMarked, state, rowKey]);
  const detailsId = React.useId();
  return (
    <li
      ref={row}
      {...roving}
      className={`jp-KaleRow jp-KaleServe-serviceRow${isMarked ? ' jp-mod-marked' : ''}`}
      aria-label={trans.__(
        '%1, %2',
        ref.name,
        isStale ? trans.__('Unknown') : phaseWord(phase, trans)
      )}
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
          title={ref.name}
          controls={detailsId}
          isRoving
          onToggle={() => state.toggle(rowKey)}
        />
      </div>
      <div className="jp-KaleRow-body">
        <PhaseStatus service={service} isStale={isStale} />
        <ServedLine service={service} />
        <UploadStatus service={service} model={props.model} isBusy={isBusy} />
        {!isToCome(service) && (
          <div className="jp-KaleRow-actions">
            <ActionButton
              label={trans.__('Test')}
              name={trans.__('Test %1', ref.name)}
              isRoving
              glyph="send"
              disabled={!canTest(service)}
              title={trans.__('Send a test request')}
              onClick={() => actions.test(ref)}
            />
            <ActionButton
              label={trans.__('Logs')}
              name={trans.__('Logs of %1', ref.name)}
              isRoving
              glyph="logs"
              title={trans.__('Show the logs')}
              onClick={() => actions.logs(ref)}
            />
            {isDown(service) ? (
              <ActionButton
                label={trans.__('Resume')}
                name={trans.__('Resume %1', ref.name)}
                isRoving
                glyph="play"
                disabled={isBusy}
                title={trans.__('Start the service again')}
                onClick={() => actions.resume(ref)}
              />
            ) : (
              service.can_pause && (
                <ActionButton
                  label={trans.__('Pause')}
                  name={trans.__('Pause %1', ref.name)}
                  isRoving
                  glyph="pause"
                  disabled={isBusy || !canPause(service)}
                  title={trans.__('Stop the processes, keep the service')}
                  onClick={() => actions.pause(ref)}
                />
              )
            )}
            {service.model !== null && service.model.id > 0 && (
              <ActionButton
                label={trans.__('Update')}
                name={trans.__('Update %1', ref.name)}
                isRoving
                glyph="edit"
                disabled={isBusy || !canUpdate(service)}
                title={trans.__('Change the version or the settings')}
                onClick={() => actions.update(ref)}
              />
            )}
            {service.can_roll_back && (
              <ActionButton
                label={trans.__('Roll back')}
                name={trans.__('Roll back %1', ref.name)}
                isRoving
                glyph="back"
                disabled={isBusy || !canRollBack(service)}
                title={trans.__('Go back to the previous version')}
                onClick={() => actions.rollBack(ref)}
              />
            )}
            <ActionButton
              label={trans.__('Delete')}
              name={trans.__('Delete %1', ref.name)}
              isRoving
              glyph="trash"
              disabled={isBusy || !canDelete(service)}
              title={trans.__('Delete the service')}
              onClick={() => actions.remove(ref)}
            />
          </div>
        )}
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
              verifications={props.model.verifications}
              hasRevisions={props.hasRevisions}
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
 * The model, its version and the transformer that answer, in one line, and what is to come where that is something else.
 */
function ServedLine({ service }: { service: Service }): JSX.Element | null {
  const trans = useTrans();
  const { ours, answering } = service;
  const { model, transformer } = answering ?? service;
  if (!model && !transformer && ours) {
    return null;
  }
  const coming = answering ? titleOf(service, trans) : '';
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
      {coming && (
        <span className="jp-KaleRow-coming">
          {service.phase === 'Degraded'
            ? trans.__('Not serving: %1', coming)
            : trans.__('Coming: %1', coming)}
        </span>
      )}
    </div>
  );
}
