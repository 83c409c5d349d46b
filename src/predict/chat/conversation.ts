import * as React from 'react';
import type { KaleServeClient } from '../../api/client';
import { ApiError } from '../../api/errors';
import type { ChatBody, ChatMessage, ServiceRef } from '../../api/types';
import { useTrans } from '../../components/trans';
import { EventReader } from './events';

/**
 * How an answer is to be written. Empty texts leave it to the server.
 */
export interface IOptions {
  system: string;
  maxTokens: string;
  temperature: string;
}

/**
 * How fast the last answer was written, and how it ended.
 */
export interface IPace {
  tokens: number;
  /**
   * From the first piece of text to the last one; 0 where there was one only.
   */
  seconds: number;
  /**
   * `stop`, `length`, or `stopped` where it was ended before its end; empty while it is being written.
   */
  finish: string;
}

/**
 * A conversation with one service.
 */
export interface IConversation {
  messages: readonly ChatMessage[];
  isWriting: boolean;
  pace: IPace | null;
  error: ApiError | null;
  send: (text: string, options: IOptions) => Promise<void>;
  stop: () => void;
  clear: () => void;
}

/**
 * The body that asks for an answer to a conversation.
 *
 * A model that does not support chat gets the last message alone, as the prompt to continue.
 */
export function bodyOf(
  messages: readonly ChatMessage[],
  options: IOptions,
  chats: boolean
): ChatBody {
  const body: ChatBody = {};
  if (chats) {
    const system = options.system.trim();
    body.messages = system
      ? [{ role: 'system', content: system }, ...messages]
      : [...messages];
  } else {
    body.prompt = messages[messages.length - 1]?.content ?? '';
  }
  if (options.maxTokens) {
    body.max_tokens = Number(options.maxTokens);
  }
  if (options.temperature) {
    body.temperature = Number(options.temperature);
  }
  return body;
}

/**
 * Keeps a conversation; its answers are not written on when the view is closed.
 */
export function useConversation(
  client: KaleServeClient,
  target: ServiceRef,
  chats: boolean,
  component: '' | 'predictor' = ''
): IConversation {
  const trans = useTrans();
  const [messages, setMessages] = React.useState<readonly ChatMessage[]>([]);
  const [request, setRequest] = React.useState<AbortController | null>(null);
  // What belongs to another request, that was cleared away or left, changes nothing any more.
  const current = React.useRef<AbortController | null>(null);
  const [pace, setPace] = React.useState<IPace | null>(null);
  const [error, setError] = React.useState<ApiError | null>(null);

  React.useEffect(() => () => request?.abort(), [request]);

  async function send(text: string, options: IOptions) {
    const asked: ChatMessage[] = [
      // What was asked and got no answer is no part of the conversation.
      ...messages.filter((_, at) => isAnswered(messages, at)),
      { role: 'user', content: text }
    ];
    const writing = new AbortController();
    current.current = writing;
    const isCurrent = () => current.current === writing;
    setRequest(writing);
    setError(null);
    setPace(null);
    setMessages(asked);
    const written = new Written();
    try {
      const body = bodyOf(asked, options, chats);
      if (component) {
        body.component = component;
      }
      const cutOff = trans.__('The answer was cut off.');
      for await (const piece of client.chat(target, body, writing.signal)) {
        if (!isCurrent() || writing.signal.aborted) {
          break;
        }
        written.take(piece, cutOff);
        if (written.text) {
          setMessages([...asked, { role: 'assistant', content: written.text }]);
          setPace(written.pace(''));
        }
      }
      if (!writing.signal.aborted) {
        written.end(
          cutOff,
          trans.__('The service ended it early. Its logs may say why.')
        );
        setPace(written.pace(written.finish || 'stop'));
      }
    } catch (reason) {
      if (isCurrent() && !writing.signal.aborted) {
        setError(ApiError.from(reason, trans));
      }
    }
    if (isCurrent()) {
      if (writing.signal.aborted) {
        setPace(written.text ? written.pace('stopped') : null);
      }
      current.current = null;
      setRequest(null);
    }
  }

  return {
    messages,
    isWriting: request !== null,
    pace,
    error,
    send,
    stop: () => request?.abort(),
    clear: () => {
      request?.abort();
      current.current = null;
      setRequest(null);
      setMessages([]);
      setPace(null);
      setError(null);
    }
  };
}

/**
 * Whether a message is an answer, or one that has an answer.
 */
function isAnswered(messages: readonly ChatMessage[], at: number): boolean {
  return (
    messages[at].role === 'assistant' || messages[at + 1]?.role === 'assistant'
  );
}

function brokenOff(message: string, hint: string): ApiError {
  return new ApiError({ status: 502, reason: 'Prediction', message, hint });
}

/**
 * An answer as it comes.
 */
class Written {
  text = '';
  finish = '';

  /**
   * Throws an `ApiError` where the server says that it failed.
   */
  take(piece: string, failed: string): void {
    for (const event of this._reader.read(piece)) {
      if (event.error) {
        throw brokenOff(failed, event.error);
      }
      this._isDone ||= event.isLast;
      if (event.text) {
        this.text += event.text;
        this._pieces += 1;
        this._last = performance.now();
        this._first ??= this._last;
      }
      this.finish = event.finish || this.finish;
      this._tokens = event.tokens || this._tokens;
    }
  }

  /**
   * Throws an `ApiError` where nothing has said that the answer is whole.
   */
  end(cutOff: string, hint: string): void {
    this.take('\n', cutOff);
    if (!this.finish && !this._isDone) {
      throw brokenOff(cutOff, hint);
    }
  }

  pace(finish: string): IPace {
    return {
      tokens: this._tokens || this._pieces,
      seconds: (this._last - (this._first ?? this._last)) / 1000,
      finish
    };
  }

  private _reader = new EventReader();
  private _isDone = false;
  private _pieces = 0;
  private _tokens = 0;
  private _first: number | null = null;
  private _last = 0;
}
