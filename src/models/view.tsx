import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { Service } from '../api/types';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { Section } from '../panel/section';
import type { PanelState } from '../panel/state';
import { FirstSteps } from './empty';
import type { ModelListModel } from './model';
import { ModelRow } from './row';

/**
 * What could be served: a search over all registered models, page by page.
 */
export function ModelsView(props: {
  model: ModelListModel;
  services: readonly Service[];
  /**
   * What keeps the list from coming in, unless it is told elsewhere.
   */
  error: ApiError | null;
  state: PanelState;
  actions: IActions;
}): JSX.Element {
  const trans = useTrans();
  const { model, error, state, actions } = props;
  const { items, total } = model;
  return (
    <Section
      id="models"
      title={trans.__('Models')}
      count={total}
      state={state}
      head={
        <input
          type="search"
          className="jp-mod-styled jp-KaleSearch"
          aria-label={trans.__('Search models')}
          placeholder={trans.__('Search models')}
          value={state.query}
          maxLength={253}
          spellCheck={false}
          onChange={event => {
            state.query = event.target.value;
            model.query = event.target.value;
            showTop(event.target);
          }}
        />
      }
    >
      {error && (
        <ErrorNote error={error} onRetry={() => void model.refresh()} />
      )}
      <ul className="jp-KaleList" aria-busy={model.isLoading}>
        {items.map(item => {
          const key = `model:${item.latest.type}:${item.latest.name}`;
          return (
            <ModelRow
              key={key}
              item={item}
              model={model}
              detail={model.detail(item.latest.id)}
              services={props.services}
              isOpen={state.isOpen(key)}
              actions={actions}
              rowKey={key}
              state={state}
            />
          );
        })}
      </ul>
      {model.hasMore && <More model={model} />}
      {items.length === 0 && !error && (
        <Empty model={model} isSearch={model.query !== ''} />
      )}
    </Section>
  );
}

/**
 * What is found begins at the top, wherever the list was scrolled to.
 */
function showTop(search: HTMLElement): void {
  const section = search.closest('section');
  const sight = section?.parentElement;
  if (
    section &&
    sight &&
    section.getBoundingClientRect().top < sight.getBoundingClientRect().top
  ) {
    section.scrollIntoView({ block: 'start' });
  }
}

function Empty(props: {
  model: ModelListModel;
  isSearch: boolean;
}): JSX.Element {
  const trans = useTrans();
  if (props.model.isLoading || !props.model.isReady) {
    return <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>;
  }
  if (props.isSearch) {
    return (
      <p className="jp-KaleEmpty">
        {trans.__('No model matches “%1”.', props.model.query)}
      </p>
    );
  }
  return <FirstSteps />;
}

/**
 * Adds the next page when it is pressed, or comes into sight.
 */
function More({ model }: { model: ModelListModel }): JSX.Element {
  const trans = useTrans();
  const button = React.useRef<HTMLButtonElement>(null);
  React.useEffect(() => {
    const node = button.current;
    if (!node) {
      return;
    }
    const observer = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) {
        void model.more();
      }
    });
    observer.observe(node);
    return () => observer.disconnect();
    // Observed anew after each page, so that one which does not fill the panel brings the next.
  }, [model, model.items]);
  return (
    <button
      ref={button}
      type="button"
      className="jp-KaleButton jp-mod-plain jp-KaleMore"
      disabled={model.isLoading}
      onClick={() => void model.more()}
    >
      {model.isLoading ? trans.__('Loading…') : trans.__('More')}
    </button>
  );
}
