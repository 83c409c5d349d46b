import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { KaleServeClient } from './api/client';
import { FILE_ARGS } from './args';
import { CommandIDs } from './commandIDs';
import { serve } from './commands';
import { kaleIcon } from './icons';
import type { IKaleServe, IKaleServePanel } from './tokens';

/**
 * How many answers are kept.
 */
const MOST_KNOWN = 500;

/**
 * Which files and folders can be models: the server tells, by what is in them.
 */
export class ModelFiles {
  /**
   * @param onModel Called when a file turns out to be a model.
   */
  constructor(
    private _client: KaleServeClient,
    private _onModel: () => void
  ) {}

  /**
   * Whether it is known to be a model. Where that is not known it is asked for; what is told of a file counts until the
   * file changes, and a folder may have others in it.
   *
   * @param path Its path without the drive.
   */
  isModel(item: ModelFiles.IItem, path: string): boolean {
    if (item.type !== 'file' && item.type !== 'directory') {
      return false;
    }
    const key = JSON.stringify([path, item.last_modified]);
    const known = this._known.get(key);
    if (known === undefined || item.type === 'directory') {
      void this._ask(key, path);
    }
    return known ?? false;
  }

  private async _ask(key: string, path: string): Promise<void> {
    // A menu asks several times while it opens.
    if (this._asked.has(key)) {
      return;
    }
    this._asked.add(key);
    const before = this._known.get(key) ?? false;
    try {
      const isModel = (await this._client.fileKind(path)).format !== '';
      this._known.set(key, isModel);
      const [oldest] = this._known.keys();
      if (this._known.size > MOST_KNOWN) {
        this._known.delete(oldest);
      }
      if (isModel && !before) {
        this._onModel();
      }
    } catch {
      // What cannot be told is not offered; the next look asks again.
    } finally {
      // The same look draws its menu anew on the answer.
      setTimeout(() => this._asked.delete(key), 1000);
    }
  }

  private _known = new Map<string, boolean>();
  private _asked = new Set<string>();
}

export namespace ModelFiles {
  export type IItem = Pick<Contents.IModel, 'type' | 'last_modified'>;
}

/**
 * Add the command that registers a file and goes on to serve it.
 */
export function addFileCommand(options: {
  app: JupyterFrontEnd;
  kale: IKaleServe;
  panel: IKaleServePanel;
  browsers: IFileBrowserFactory;
  trans: TranslationBundle;
}): void {
  const { app, kale, panel, browsers, trans } = options;
  const selected = (): Contents.IModel | null => {
    const items = [...(browsers.tracker.currentWidget?.selectedItems() ?? [])];
    return items.length === 1 ? items[0] : null;
  };
  const { contents } = app.serviceManager;
  // Null for what is elsewhere: the server has the files of its own drive alone, under the two names of it.
  const local = (path: string): string | null =>
    ['', 'RTC'].includes(contents.driveName(path))
      ? contents.localPath(path)
      : null;
  const files = new ModelFiles(kale.client, () => {
    app.commands.notifyCommandChanged(CommandIDs.serveFile);
    const { menu } = app.contextMenu;
    if (menu.isAttached) {
      // It was drawn before the answer had come. The command is the last one, so that none moves under the pointer.
      menu.update();
    }
  });
  app.commands.addCommand(CommandIDs.serveFile, {
    label: args =>
      args.isPalette
        ? trans.__('Serve the model file selected in the file browser')
        : trans.__('Serve model'),
    icon: kaleIcon,
    describedBy: { args: FILE_ARGS },
    isVisible: () => {
      const item = selected();
      const path = item && local(item.path);
      return item !== null && path !== null && files.isModel(item, path);
    },
    execute: async args => {
      const given =
        typeof args.path === 'string' ? args.path : selected()?.path;
      const path = given === undefined ? null : local(given);
      return path === null ? null : serve({ kale, panel, trans }, { path });
    }
  });
}
