import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { PromiseDelegate } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import { PanelLayout, Widget } from '@lumino/widgets';
import * as React from 'react';
import type { Service } from '../api/types';
import { Glyph } from '../components/glyph';
import { TransContext } from '../components/trans';
import type { IKaleServe, IServeSubject } from '../tokens';
import { ServeFormModel } from './model';
import { RegisterView } from './register';
import { ServeView } from './view';

export interface IServeDialogOptions {
  kale: IKaleServe;
  trans: TranslationBundle;
  /**
   * What to serve: a model, or a file that is to become one.
   */
  subject: IServeSubject | { path: string };
}

/**
 * Ask how to serve a model, and serve it. Resolves to null where the user thought better of it.
 */
export async function openServeDialog(
  options: IServeDialogOptions
): Promise<Service | null> {
  const dialog = new ServeDialog(options);
  Widget.attach(dialog, document.body);
  const service = await dialog.result;
  dialog.dispose();
  return service;
}

/**
 * A modal dialog that stays open while the server says what is wrong.
 *
 * It is the browser's own: the cursor stays inside it, Escape closes it, and it goes back to where it was.
 */
class ServeDialog extends Widget {
  constructor(options: IServeDialogOptions) {
    super({ node: document.createElement('dialog') });
    const { trans, subject } = options;
    this.addClass('jp-KaleDialog');
    this.addClass('jp-ThemedContainer');
    const isUpdate = 'modelId' in subject && Boolean(subject.initial?.name);
    const title = isUpdate
      ? trans.__('Update service')
      : trans.__('Serve model');
    this.node.setAttribute('aria-label', title);
    const body = ReactWidget.create(
      <TransContext.Provider value={trans}>
        <header className="jp-KaleDialog-header">
          <h2>{title}</h2>
          <button
            type="button"
            className="jp-KaleButton jp-mod-icon-only"
            aria-label={trans.__('Close')}
            title={trans.__('Close')}
            onClick={() => this._result.resolve(null)}
          >
            <Glyph name="cross" />
          </button>
        </header>
        <ServeDialogBody
          {...options}
          isUpdate={isUpdate}
          onDone={service => this._result.resolve(service)}
        />
      </TransContext.Provider>
    );
    const layout = new PanelLayout();
    layout.addWidget(body);
    this.layout = layout;
  }

  /**
   * Settled when the dialog is done with.
   */
  get result(): Promise<Service | null> {
    return this._result.promise;
  }

  handleEvent(event: Event): void {
    switch (event.type) {
      case 'cancel':
        event.preventDefault();
        this._result.resolve(null);
        break;
      case 'keydown':
        // What is typed here is not meant for the application's shortcuts.
        event.stopPropagation();
        break;
      default:
        break;
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._result.resolve(null);
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.node.addEventListener('cancel', this);
    this.node.addEventListener('keydown', this);
    (this.node as HTMLDialogElement).showModal();
  }

  protected override onBeforeDetach(msg: Message): void {
    super.onBeforeDetach(msg);
    this.node.removeEventListener('cancel', this);
    this.node.removeEventListener('keydown', this);
    (this.node as HTMLDialogElement).close();
  }

  private _result = new PromiseDelegate<Service | null>();
}

/**
 * One step or two: a file is registered before it is served.
 */
function ServeDialogBody(
  props: IServeDialogOptions & {
    isUpdate: boolean;
    onDone: (service: Service | null) => void;
  }
): JSX.Element {
  const { kale, trans, isUpdate, onDone } = props;
  const [subject, setSubject] = React.useState(props.subject);
  const model = React.useMemo(
    () =>
      'path' in subject
        ? null
        : new ServeFormModel({
            client: kale.client,
            services: kale.services,
            environments: kale.environments,
            subject,
            trans
          }),
    [kale, trans, subject]
  );
  React.useEffect(() => {
    void model?.load();
    return () => model?.dispose();
  }, [model]);
  if (!model) {
    return (
      <RegisterView
        client={kale.client}
        path={'path' in subject ? subject.path : ''}
        onRegistered={artifact => {
          void kale.models.refresh();
          setSubject({ modelId: artifact.id });
        }}
        onCancel={() => onDone(null)}
      />
    );
  }
  return (
    <ServeView
      model={model}
      isUpdate={isUpdate}
      onServed={onDone}
      onCancel={() => onDone(null)}
    />
  );
}
