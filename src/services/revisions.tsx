import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import type { Service } from '../api/types';
import { ActionButton } from '../components/button';
import { useFetched } from '../components/fetched';
import { Moment } from '../components/moment';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { newsOf } from './news';
import { titleOf } from './words';

/**
 * What the service is and was, with the way back; asked for when it is opened and whenever the service changes.
 */
export function Revisions(props: {
  service: Service;
  client: KaleServeClient;
  isBusy: boolean;
  actions: IActions;
}): JSX.Element {
  const trans = useTrans();
  const { service, client, isBusy, actions } = props;
  const { value: items, error } = useFetched(
    () => client.revisions(service.ref),
    newsOf(service),
    { keep: true }
  );
  if (error) {
    return <ErrorNote error={error} />;
  }
  if (!items) {
    return <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>;
  }
  return (
    <ul className="jp-KaleRevisions">
      {items.map(item => (
        <li key={item.number}>
          <div>
            {trans.__('%1: %2', item.number, titleOf(item, trans))}
            {item.answers && ` ${trans.__('(answers)')}`}
          </div>
          <div className="jp-KaleRow-sub">
            {item.back_to > 0 && (
              <span>{trans.__('Rolled back to %1', item.back_to)}</span>
            )}
            {item.changes.length > 0 && <span>{item.changes.join('; ')}</span>}
            {item.by && <span>{item.by}</span>}
            {item.created > 0 && <Moment at={item.created} />}
          </div>
          {!item.newest && (
            <ActionButton
              label={trans.__('Roll back to %1', item.number)}
              glyph="back"
              disabled={isBusy || service.phase === 'Terminating'}
              onClick={() => actions.rollBack(service.ref, item.number)}
            />
          )}
        </li>
      ))}
    </ul>
  );
}
