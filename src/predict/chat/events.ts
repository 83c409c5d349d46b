import { isObject } from '../../api/types';

/**
 * What one event of a streamed answer says.
 */
export interface IEvent {
  text: string;
  /**
   * Why the answer has ended: `stop` or `length`; empty until it has.
   */
  finish: string;
  /**
   * How many tokens the answer has; 0 where the event does not say.
   */
  tokens: number;
  /**
   * Whether the stream says that it ends here.
   */
  isLast: boolean;
  /**
   * What went wrong; empty where nothing did.
   */
  error: string;
}

/**
 * Cuts the pieces of a stream into its events, wherever the pieces begin and end.
 */
export class EventReader {
  /**
   * The events that are whole with this piece.
   */
  read(piece: string): IEvent[] {
    this._rest += piece;
    const lines = this._rest.split('\n');
    this._rest = lines.pop() ?? '';
    return lines
      .filter(line => line.startsWith('data:'))
      .map(line => line.slice('data:'.length).trim())
      .map(eventOf);
  }

  private _rest = '';
}

function eventOf(data: string): IEvent {
  const event: IEvent = {
    text: '',
    finish: '',
    tokens: 0,
    error: '',
    isLast: false
  };
  if (data === '[DONE]') {
    return { ...event, isLast: true };
  }
  const told = parsed(data);
  if (!isObject(told)) {
    return event;
  }
  if (told.error) {
    const message = isObject(told.error) ? told.error.message : told.error;
    return { ...event, error: String(message) };
  }
  const choice: unknown = Array.isArray(told.choices)
    ? told.choices[0]
    : undefined;
  if (isObject(choice)) {
    const said = isObject(choice.delta) ? choice.delta.content : choice.text;
    event.text = typeof said === 'string' ? said : '';
    event.finish =
      typeof choice.finish_reason === 'string' ? choice.finish_reason : '';
  }
  if (isObject(told.usage)) {
    const count = told.usage.completion_tokens;
    event.tokens = typeof count === 'number' ? count : 0;
  }
  return event;
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
