import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Service, Share } from '../api/types';
import { ActionButton } from '../components/button';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { canPromote, isBeside, isSplit } from './abilities';

/**
 * Which version gets how many of the requests, and the choice between them. Nothing where there is but one.
 */
export function Shares(props: {
  service: Service;
  isBusy: boolean;
  actions: IActions;
}): JSX.Element | null {
  const trans = useTrans();
  const { service, isBusy, actions } = props;
  const { shares, ref } = service;
  const newest = shares.find(share => share.newest);
  if (!newest || !isSplit(service)) {
    return null;
  }
  const isSettled = ['Ready', 'Idle', 'Degraded'].includes(service.phase);
  return (
    <section className="jp-KaleShares" aria-label={trans.__('Requests')}>
      <h4>{trans.__('Requests')}</h4>
      <ul>
        {shares.map(share => (
          <li key={share.revision}>
            <span title={share.revision}>{titleOf(share, trans)}</span>
            <meter
              min={0}
              max={100}
              value={share.percent}
              aria-label={titleOf(share, trans)}
            />
            <span className="jp-KaleShares-percent">
              {share.assumed
                ? trans.__('%1 % asked for', share.percent)
                : trans.__('%1 %', share.percent)}
            </span>
          </li>
        ))}
      </ul>
      <div className="jp-KaleRow-actions">
        {(newest.percent < 100 || isBeside(service)) && (
          <ActionButton
            label={trans.__('Promote')}
            name={trans.__('Promote the newest version of %1', ref.name)}
            glyph="serve"
            disabled={isBusy || !canPromote(service)}
            title={trans.__('Give all requests to the newest version')}
            onClick={() => actions.promote(ref)}
          />
        )}
        {(newest.percent > 0 || isBeside(service)) && (
          <ActionButton
            label={trans.__('Roll back')}
            name={trans.__('Roll back the requests of %1', ref.name)}
            glyph="back"
            disabled={isBusy || !isSettled}
            title={trans.__('Give all requests to the previous version')}
            onClick={() => actions.rollBack(ref)}
          />
        )}
      </div>
    </section>
  );
}

function titleOf(share: Share, trans: TranslationBundle): string {
  const { model } = share;
  const name = model
    ? model.version
      ? trans.__('%1 v%2', model.name, model.version)
      : model.name
    : share.revision;
  return share.newest ? trans.__('%1 (newest)', name) : name;
}
