import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { refKey } from './api/types';
import { CommandIDs } from './commandIDs';
import { addCommands } from './commands';
import { addFileCommand } from './fileBrowser';
import { KaleServe } from './kaleServe';
import { ServiceNotifier } from './notifications';
import { commandActions } from './panel/actions';
import { PanelState } from './panel/state';
import { KaleServePanel } from './panel/widget';
import { readSettings } from './settings';
import { IKaleServe, IKaleServePanel } from './tokens';

/**
 * Models and services, for the other plugins and for other extensions.
 */
const model: JupyterFrontEndPlugin<IKaleServe> = {
  id: 'kale-serve-ext:plugin',
  description: 'Provides models and services, and keeps to the settings.',
  autoStart: true,
  provides: IKaleServe,
  optional: [ITranslator, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    registry: ISettingRegistry | null
  ): IKaleServe => {
    const kale = new KaleServe({
      serviceManager: app.serviceManager,
      translator
    });
    void registry?.load(model.id).then(settings => {
      const apply = () => {
        kale.settings = readSettings(settings.composite, kale.settings);
      };
      settings.changed.connect(apply, kale);
      apply();
    });
    return kale;
  }
};

const panel: JupyterFrontEndPlugin<IKaleServePanel> = {
  id: 'kale-serve-ext:panel',
  description: 'Adds the panel of models and services to the left sidebar.',
  autoStart: true,
  provides: IKaleServePanel,
  requires: [IKaleServe],
  optional: [ITranslator, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    kale: IKaleServe,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    db: IStateDB | null
  ): IKaleServePanel => {
    const trans = (translator ?? nullTranslator).load('kale_serve_ext');
    const state = new PanelState({ db });
    const widget = new KaleServePanel({
      kale,
      state,
      actions: commandActions(app.commands),
      trans
    });
    void state.restore().then(() => {
      kale.models.query = state.query;
    });
    restorer?.add(widget, widget.id);
    app.shell.add(widget, 'left', { rank: 550, type: 'Kale Serve' });
    return {
      reveal: options => {
        // The command palette, when it closes, gives the focus back to the document: this comes after it.
        requestAnimationFrame(() => {
          if (options?.search) {
            widget.wantSearch();
          }
          app.shell.activateById(widget.id);
          if (options?.service) {
            state.mark(`service:${refKey(options.service)}`, 'services');
          }
        });
      }
    };
  }
};

const commands: JupyterFrontEndPlugin<void> = {
  id: 'kale-serve-ext:commands',
  description: 'Adds the commands on models and services.',
  autoStart: true,
  requires: [IKaleServe, IKaleServePanel],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    kale: IKaleServe,
    panel: IKaleServePanel,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('kale_serve_ext');
    const category = trans.__('Kale Serve');
    for (const command of addCommands({ app, kale, panel, trans, restorer })) {
      palette?.addItem({ command, category });
    }
  }
};

const fileBrowser: JupyterFrontEndPlugin<void> = {
  id: 'kale-serve-ext:file-browser',
  description: 'Serves model files from the file browser.',
  autoStart: true,
  requires: [IKaleServe, IKaleServePanel, IFileBrowserFactory],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    kale: IKaleServe,
    panel: IKaleServePanel,
    browsers: IFileBrowserFactory,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('kale_serve_ext');
    addFileCommand({ app, kale, panel, browsers, trans });
    palette?.addItem({
      command: CommandIDs.serveFile,
      args: { isPalette: true },
      category: trans.__('Kale Serve')
    });
  }
};

const notifications: JupyterFrontEndPlugin<void> = {
  id: 'kale-serve-ext:notifications',
  description: 'Notifies of services that became ready or failed.',
  autoStart: true,
  requires: [IKaleServe],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    kale: IKaleServe,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('kale_serve_ext');
    new ServiceNotifier(kale, app.commands, trans);
  }
};

export * from './tokens';

export default [model, panel, commands, fileBrowser, notifications];
