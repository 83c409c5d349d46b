import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Service, Share } from '../api/types';
import { ActionButton } from '../components/button';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';

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
  if (!newest || shares.length < 2) {
    return null;
  }
  // It runs beside the other whatever it gets, until one of them is chosen.
  const isBeside = service.mode === 'Standard';
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
        {(newest.percent < 100 || isBeside) && (
          <ActionButton
            label={trans.__('Promote')}
            glyph="serve"
            disabled={isBusy || !isSettled || service.phase === 'Degraded'}
            title={trans.__('Give all requests to the newest version')}
            onClick={() => actions.promote(ref)}
          />
        )}
        {(newest.percent > 0 || isBeside) && (
          <ActionButton
            label={trans.__('Roll back')}
            glyph="back"
            disabled={isBusy || !isSettled}
            title={trans.__('Give all requests to the version before')}
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
