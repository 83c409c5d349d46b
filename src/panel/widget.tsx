import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';
import { kaleIcon } from '../icons';
import type { IKaleServe } from '../tokens';
import type { IActions } from './actions';
import type { PanelState } from './state';

const PanelView = React.lazy(() => import('./view'));

/**
 * The panel in the sidebar. It asks the server nothing, and loads next to nothing, until it is first shown.
 */
export class KaleServePanel extends ReactWidget {
  constructor(options: KaleServePanel.IOptions) {
    super();
    this._options = options;
    const { trans } = options;
    this.id = 'kale-serve-panel';
    this.addClass('jp-KaleServe');
    this.title.icon = kaleIcon;
    this.title.caption = trans.__('Kale Serve');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Kale Serve'));
    this.node.tabIndex = -1;
  }

  /**
   * Put the cursor into the search box when the panel is activated, as soon as there is one.
   */
  wantSearch(): void {
    this._wantsSearch = true;
  }

  protected override render(): JSX.Element | null {
    if (!this._isOpened) {
      return null;
    }
    const { kale, state, actions, trans } = this._options;
    return (
      <React.Suspense fallback={null}>
        <PanelView
          kale={kale}
          state={state}
          actions={actions}
          trans={trans}
          onReady={() => this._focus()}
        />
      </React.Suspense>
    );
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this._open();
    }
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._open();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (!this.node.contains(document.activeElement)) {
      this.node.focus();
    }
    this._focus();
  }

  private _open(): void {
    if (!this._isOpened) {
      this._isOpened = true;
      this._options.kale.start();
      this.update();
    }
  }

  private _focus(): void {
    const search = this.node.querySelector<HTMLElement>('input[type=search]');
    if (this._wantsSearch && search) {
      this._wantsSearch = false;
      search.focus();
    }
  }

  private _options: KaleServePanel.IOptions;
  private _isOpened = false;
  private _wantsSearch = false;
}

export namespace KaleServePanel {
  export interface IOptions {
    kale: IKaleServe;
    state: PanelState;
    actions: IActions;
    trans: TranslationBundle;
  }
}
