import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { Service, ServiceRef, Verification } from '../api/types';
import { refKey } from '../api/types';

/**
 * What came of asking a service for its recorded rows.
 */
export interface IVerdict {
  /**
   * What was asked: a service that was deleted and served anew starts at the same revision.
   */
  version: string;
  isAsking: boolean;
  verification: Verification | null;
  error: ApiError | null;
}

/**
 * Whether services answer as their models did in the notebook: asked once for each revision, and again when told to.
 */
export class Verifications extends VDomModel {
  constructor(options: Verifications.IOptions) {
    super();
    this._client = options.client;
    this._trans = options.trans;
  }

  /**
   * A service was asked, and answered.
   */
  get verified(): ISignal<this, Verifications.IVerified> {
    return this._verified;
  }

  /**
   * What is known of the service; null where it was not asked.
   */
  of(ref: ServiceRef): IVerdict | null {
    return this._verdicts.get(refKey(ref)) ?? null;
  }

  /**
   * Ask a service that is ready, unless this revision of it was asked before.
   */
  async ensure(service: Service): Promise<void> {
    if (
      service.phase === 'Ready' &&
      this.of(service.ref)?.version !== versionOf(service)
    ) {
      await this.ask(service);
    }
  }

  async ask(service: Service): Promise<void> {
    const key = refKey(service.ref);
    const version = versionOf(service);
    const before = this._verdicts.get(key);
    const asked: IVerdict = {
      version,
      isAsking: true,
      verification: before?.version === version ? before.verification : null,
      error: null
    };
    this._set(key, asked);
    let verdict: IVerdict;
    try {
      const verification = await this._client.verify(service.ref);
      verdict = { version, isAsking: false, verification, error: null };
    } catch (reason) {
      const error = ApiError.from(reason, this._trans);
      verdict = { version, isAsking: false, verification: null, error };
    }
    if (this.isDisposed || this._verdicts.get(key) !== asked) {
      return; // it is gone, or a newer version has been asked since
    }
    this._set(key, verdict);
    if (verdict.verification) {
      const { verification } = verdict;
      this._verified.emit({ service, verification });
    }
  }

  /**
   * Forget what is known of a service that is gone.
   */
  drop(key: string): void {
    if (this._verdicts.delete(key)) {
      this.stateChanged.emit();
    }
  }

  override dispose(): void {
    super.dispose();
    Signal.clearData(this);
  }

  private _set(key: string, verdict: IVerdict): void {
    this._verdicts.set(key, verdict);
    this.stateChanged.emit();
  }

  private _client: KaleServeClient;
  private _trans: TranslationBundle;
  private _verdicts = new Map<string, IVerdict>();
  private _verified = new Signal<this, Verifications.IVerified>(this);
}

function versionOf({ created, revision, model }: Service): string {
  return `${created}/${revision}/${model?.id ?? ''}`;
}

export namespace Verifications {
  export interface IOptions {
    client: KaleServeClient;
    trans: TranslationBundle;
  }

  export interface IVerified {
    service: Service;
    verification: Verification;
  }
}
