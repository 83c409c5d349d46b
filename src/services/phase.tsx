import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Phase, Service } from '../api/types';
import type { GlyphName } from '../components/glyph';
import { Glyph } from '../components/glyph';
import { useTrans } from '../components/trans';

const GLYPHS: Record<Phase, GlyphName> = {
  Uploading: 'serve',
  Pending: 'circle',
  Loading: 'spinner',
  Ready: 'check',
  Idle: 'moon',
  Failed: 'cross',
  Degraded: 'warning',
  Paused: 'pause',
  Stopped: 'stop',
  Terminating: 'spinner'
};

/**
 * The phase with its drawing, in words, and why it is so. Changes are read out, but for that of all services to unknown:
 * that the server is away is told once, at the top.
 */
export function PhaseStatus(props: {
  service: Service;
  /**
   * Whether this is how it was when the server was last heard of.
   */
  isStale?: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { service, isStale } = props;
  const { phase } = service;
  if (isStale) {
    return (
      <div className="jp-KalePhase jp-mod-unknown">
        <Glyph name="circle" />
        <span className="jp-KalePhase-text">
          <span className="jp-KalePhase-word">{trans.__('Unknown')}</span>
          <span className="jp-KalePhase-reason">
            {' '}
            {trans.__('Last known: %1.', phaseWord(phase, trans))}
          </span>
        </span>
      </div>
    );
  }
  const reason = phaseReason(service);
  return (
    <div role="status" className={`jp-KalePhase jp-mod-${phase.toLowerCase()}`}>
      <Glyph name={GLYPHS[phase]} />
      <span className="jp-KalePhase-text">
        <span className="jp-KalePhase-word">{phaseWord(phase, trans)}</span>
        {reason && <span className="jp-KalePhase-reason"> {reason}</span>}
      </span>
    </div>
  );
}

/**
 * The phase in the user's language.
 */
export function phaseWord(phase: Phase, trans: TranslationBundle): string {
  switch (phase) {
    case 'Uploading':
      return trans.__('Uploading');
    case 'Pending':
      return trans.__('Pending');
    case 'Loading':
      return trans.__('Loading');
    case 'Ready':
      return trans.__('Ready');
    case 'Idle':
      return trans.__('Idle');
    case 'Failed':
      return trans.__('Failed');
    case 'Degraded':
      return trans.__('Degraded');
    case 'Paused':
      return trans.__('Paused');
    case 'Stopped':
      return trans.__('Stopped');
    case 'Terminating':
      return trans.__('Terminating');
  }
}

/**
 * Why the phase is what it is; on the way to ready, the step that it is at.
 */
export function phaseReason(service: Service): string {
  if (service.reason) {
    return service.reason;
  }
  const active = service.steps.find(step => step.state === 'active');
  return active ? active.message || active.title : '';
}
