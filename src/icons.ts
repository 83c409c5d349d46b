import { LabIcon } from '@jupyterlab/ui-components';

/**
 * A leaf of kale on a stand.
 */
export const kaleIcon = new LabIcon({
  name: 'kale-serve-ext:kale',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M12.9 17.2c3.6-.2 6.3-2 6.2-4.7 0-1-.4-1.800-1-2.400.5-.6.8-1.400.7-2.300-.2-1.700-1.700-2.900-3.400-2.900-.5-1.600-1.800-2.900-3.400-2.900S9.100 3.300 8.600 4.900c-1.700 0-3.200 1.200-3.400 2.900-.1.900.2 1.700.7 2.300-.6.6-1 1.400-1 2.400-.1 2.700 2.600 4.500 6.200 4.700V11L8.600 9.100l1-1.300 1.500 1.100V6.200h1.800v4.500l2.200-1.600 1 1.300-3.200 2.400z"/>
    <path d="M5 19h14v2.500H5z"/>
  </g>
</svg>`
});
