import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { plainText } from './plain';
import { isObject } from './types';

/**
 * An answer of the REST API that is not what was asked for: what happened, and what can be done about it.
 */
export class ApiError extends Error {
  constructor(options: ApiError.IOptions) {
    super(plainText(options.message));
    this.name = 'ApiError';
    this.status = options.status;
    this.reason = options.reason;
    this.hint = plainText(options.hint ?? '');
    this.field = options.field ?? '';
    this.request = options.request ?? '';
  }

  /**
   * The HTTP status; 0 where there was no answer at all.
   */
  readonly status: number;

  /**
   * The error's kind in one word, such as `NotFound`.
   */
  readonly reason: string;

  readonly hint: string;

  /**
   * Whether the Jupyter server, or our part of it, is not there; a proxy in front of it may be what says so.
   */
  get isAway(): boolean {
    return (
      this.reason === 'Network' ||
      this.reason === 'ExtensionMissing' ||
      (this.reason === 'Unexpected' && [502, 503, 504].includes(this.status))
    );
  }

  /**
   * The form field at fault, where there is one.
   */
  readonly field: string;

  /**
   * What was sent to the service, where a test request failed.
   */
  readonly request: string;

  /**
   * The error that an HTTP answer tells of.
   */
  static async fromResponse(
    response: Response,
    trans: TranslationBundle
  ): Promise<ApiError> {
    const body = await readJSON(response);
    if (
      isObject(body) &&
      typeof body.message === 'string' &&
      typeof body.reason === 'string'
    ) {
      return new ApiError({
        status: response.status,
        message: body.message,
        reason: body.reason,
        hint: typeof body.hint === 'string' ? body.hint : '',
        field: typeof body.field === 'string' ? body.field : '',
        request: typeof body.request === 'string' ? body.request : ''
      });
    }
    if (response.status === 404) {
      // A handler of ours always answers with a body of ours: the route itself is not there.
      return new ApiError({
        status: 404,
        reason: 'ExtensionMissing',
        message: trans.__('The server part of Kale Serve is not running.'),
        hint: trans.__(
          'Install it where Jupyter Server runs, with `pip install kale-serve-ext`, and start Jupyter again.'
        )
      });
    }
    const said =
      isObject(body) && typeof body.message === 'string' ? body.message : '';
    return new ApiError({
      status: response.status,
      reason: 'Unexpected',
      message:
        said ||
        trans.__(
          'The Jupyter server answered %1 %2.',
          response.status,
          response.statusText
        ),
      hint: trans.__('The server log has the details.')
    });
  }

  /**
   * Anything thrown, as an `ApiError`.
   */
  static from(error: unknown, trans: TranslationBundle): ApiError {
    if (error instanceof ApiError) {
      return error;
    }
    if (error instanceof ServerConnection.NetworkError) {
      return new ApiError({
        status: 0,
        reason: 'Network',
        message: trans.__('The Jupyter server cannot be reached.'),
        hint: trans.__('Check that it still runs, and the connection to it.')
      });
    }
    return new ApiError({
      status: 0,
      reason: 'Unexpected',
      message: error instanceof Error ? error.message : String(error)
    });
  }
}

export namespace ApiError {
  export interface IOptions {
    status: number;
    reason: string;
    message: string;
    hint?: string;
    field?: string;
    request?: string;
  }
}

async function readJSON(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
