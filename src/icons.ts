import { LabIcon } from '@jupyterlab/ui-components';

/**
 * A leaf of kale on a stand.
 */
export const kaleIcon = new LabIcon({
  name: 'kale-serve-ext:kale',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M12.9 17.2c3.6-.2 6.3-2 6.2-4.7 0-1-.4-1.8-1-2.4.5-.6.8-1.4.7-2.3-.2-1.7-1.7-2.9-3.4-2.9-.5-1.6-1.8-2.9-3.4-2.9S9.1 3.3 8.6 4.9c-1.7 0-3.2 1.2-3.4 2.9-.1.9.2 1.7.7 2.3-.6.6-1 1.4-1 2.4-.1 2.7 2.6 4.5 6.2 4.7V11L8.6 9.1l1-1.3 1.5 1.1V6.2h1.8v4.5l2.2-1.6 1 1.3-3.2 2.4z"/>
    <path d="M5 19h14v2.5H5z"/>
  </g>
</svg>`
});
