import * as React from 'react';
import { Disclosure } from '../components/disclosure';
import type { PanelState } from './state';

/**
 * A section of the panel that can be shut; its head stays in sight while its rows scroll.
 */
export function Section(props: {
  id: string;
  title: string;
  count?: number;
  state: PanelState;
  /**
   * What stays in sight below the title.
   */
  head?: React.ReactNode;
  children: React.ReactNode;
}): JSX.Element {
  const { id, title, count, state, head, children } = props;
  const contentId = React.useId();
  // What is saved are the sections that were shut, so that new ones start open.
  const key = `shut:${id}`;
  const isOpen = !state.isOpen(key);
  return (
    <section className="jp-KaleSection" role="region" aria-label={title}>
      <div className="jp-KaleSection-head">
        <h2 className="jp-KaleSection-title">
          <Disclosure
            label={title}
            isOpen={isOpen}
            controls={contentId}
            onToggle={() => state.toggle(key)}
          />
          {count !== undefined && count > 0 && (
            <span className="jp-KaleSection-count">{count}</span>
          )}
        </h2>
        {isOpen && head}
      </div>
      {isOpen && (
        <div className="jp-KaleSection-content" id={contentId}>
          {children}
        </div>
      )}
    </section>
  );
}
