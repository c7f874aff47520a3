const ID = 'jetforce-style';

/**
 * The look of all our forms, once a page. Colours come from the editor's theme alone, so that dark works too. A form
 * says itself how wide it opens: else its longest tip, on one line, would.
 */
export function installStyle(): void {
  if (document.getElementById(ID)) return;
  $('<style>').attr('id', ID).text(STYLE).appendTo(document.head);
}

const STYLE = `
.jetforce-form { container-type: inline-size; contain-intrinsic-inline-size: 540px; }
.jetforce-form [hidden] { display: none !important; }
.jetforce-form .form-row { display: flex; flex-wrap: wrap; align-items: flex-start; margin-bottom: 10px; }
.jetforce-form .form-row > label { display: flex; gap: 6px; flex: 0 0 178px; width: 178px; margin: 0; padding: 8px 8px 0 0; box-sizing: border-box; line-height: 18px; }
.jetforce-form .form-row > label > i { flex: 0 0 16px; text-align: center; line-height: 18px; }
.jetforce-form .form-row > input[type=text],
.jetforce-form .form-row > input[type=password],
.jetforce-form .form-row > select,
.jetforce-form .form-row > textarea,
.jetforce-form .form-row > div:not(.jetforce-tip) { flex: 1 1 0; min-width: 0; width: auto !important; box-sizing: border-box; }
.jetforce-form .form-row > input.jetforce-short { flex: 0 0 130px; }
.jetforce-form .form-row > input[type=checkbox] { flex: none; width: auto; margin: 2px 8px 0 178px; }
.jetforce-form .form-row > input[type=checkbox] + label { flex: 1 1 0; width: auto; padding-top: 0; }
.jetforce-form .jetforce-beside { flex: none; margin-left: 8px; }
.jetforce-form .jetforce-unit { padding: 7px 0 0 8px; color: var(--red-ui-secondary-text-color); }
.jetforce-form .jetforce-tip { flex: 0 0 100%; margin-top: 4px; padding-left: 178px; box-sizing: border-box; font-size: 12px; line-height: 17px; color: var(--red-ui-secondary-text-color); }
.jetforce-form .jetforce-tip code { font-size: 12px; }
.jetforce-form details { margin: 0 0 10px; border: 1px solid var(--red-ui-secondary-border-color); border-radius: 4px; }
.jetforce-form details > summary { display: flex; align-items: baseline; gap: 8px; padding: 8px 12px; cursor: pointer; user-select: none; list-style: none; border-radius: 4px; }
.jetforce-form details > summary::-webkit-details-marker { display: none; }
.jetforce-form details > summary:hover { background: var(--red-ui-secondary-background-hover); }
.jetforce-form details > summary:focus-visible { outline: 1px solid var(--red-ui-form-input-focus-color); }
.jetforce-form details > summary::before { content: "\\f105"; font-family: FontAwesome; width: 10px; color: var(--red-ui-secondary-text-color); }
.jetforce-form details[open] > summary::before { content: "\\f107"; }
.jetforce-form details > summary > b { font-weight: 500; }
.jetforce-form .jetforce-summary { flex: 1; min-width: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; text-align: right; font-size: 12px; color: var(--red-ui-secondary-text-color); }
.jetforce-form details > .jetforce-section { padding: 8px 12px 2px; }
.jetforce-form details .form-row > label { flex-basis: 165px; width: 165px; }
.jetforce-form details .form-row > input[type=checkbox] { margin-left: 165px; }
.jetforce-form details .jetforce-tip { padding-left: 165px; }
.jetforce-form .jetforce-tip.jetforce-wide { padding-left: 0; }
.jetforce-form .jetforce-hint { max-width: none; width: auto; margin: 0 0 10px; padding: 8px 12px 8px 32px; text-indent: -20px; line-height: 18px; }
.jetforce-form .jetforce-hint > i { width: 20px; text-indent: 0; color: var(--red-ui-text-color-warning); }
.jetforce-form .jetforce-test { display: flex; align-items: flex-start; gap: 10px; margin: 16px 0 10px; }
.jetforce-form .jetforce-test > button { flex: none; }
.jetforce-form .jetforce-result { flex: 1; padding-top: 7px; line-height: 19px; overflow-wrap: anywhere; }
.jetforce-form .jetforce-result > div { padding-left: 20px; text-indent: -20px; margin-bottom: 4px; }
.jetforce-form .jetforce-result > div > i { width: 16px; text-indent: 0; text-align: center; }
.jetforce-form .jetforce-fair { color: var(--red-ui-text-color-warning); }
.jetforce-form .jetforce-ok { color: var(--red-ui-text-color-success); }
.jetforce-error { color: var(--red-ui-text-color-error) !important; }
.jetforce-form .jetforce-preview { font-family: var(--red-ui-monospace-font); font-size: 12px; overflow-wrap: anywhere; }
.jetforce-form .jetforce-preview var { font-style: normal; padding: 0 3px; border-radius: 3px; color: var(--red-ui-text-color-code); background: var(--red-ui-secondary-background-selected); }
.jetforce-picker { position: relative; display: inline-flex; flex: 1 1 0; min-width: 0; }
.jetforce-picker > input[type=text] { flex: 1; min-width: 0; width: 100% !important; padding-right: 28px !important; box-sizing: border-box; }
.jetforce-picker > .jetforce-picker-toggle { position: absolute; top: 1px; right: 1px; bottom: 1px; width: 26px; padding: 0; border: 0; background: none; color: var(--red-ui-secondary-text-color); cursor: pointer; }
.jetforce-picker > .jetforce-picker-toggle:hover { color: var(--red-ui-primary-text-color); }
.jetforce-list { position: fixed; z-index: 1000; margin: 0 !important; padding: 4px 0 !important; overflow-y: auto; list-style: none; box-sizing: border-box; border: 1px solid var(--red-ui-form-input-border-color); border-radius: 4px; background: var(--red-ui-form-input-background); color: var(--red-ui-form-text-color); box-shadow: 0 4px 12px var(--red-ui-shadow); font-family: var(--red-ui-primary-font); font-size: 14px; }
.jetforce-list > li { display: flex; justify-content: space-between; gap: 12px; padding: 5px 10px; line-height: 18px; overflow-wrap: anywhere; }
.jetforce-list > li[role=option] { cursor: pointer; }
.jetforce-list > li[role=option]:hover, .jetforce-list > li[aria-selected=true] { background: var(--red-ui-list-item-background-selected); }
.jetforce-list > li.jetforce-needed > span:first-child { font-weight: bold; }
.jetforce-list > li[aria-selected=true] .jetforce-list-label, .jetforce-list > li[role=option]:hover .jetforce-list-label { color: inherit; }
.jetforce-list-label { text-align: right; color: var(--red-ui-secondary-text-color); }
.jetforce-list > li.jetforce-list-notice { justify-content: flex-start; gap: 6px; color: var(--red-ui-secondary-text-color); font-size: 13px; }
.jetforce-list > li.jetforce-list-notice > i { line-height: 18px; }
.jetforce-form .jetforce-fields { flex: 0 0 100% !important; margin: 0; }
.jetforce-form .jetforce-fields > .node-text-editor { margin-top: 6px; }
.jetforce-form .jetforce-field { display: flex; gap: 8px; }
.jetforce-form .jetforce-field > * { flex: 1 1 0; min-width: 0; }
.jetforce-form .jetforce-field > .red-ui-typedInput-container { flex-grow: 1.4; width: auto !important; }
.jetforce-form .jetforce-field > input[type=text] { box-sizing: border-box; width: auto; }
.jetforce-form .jetforce-fields-header { display: flex; gap: 8px; padding: 0 40px 0 26px; }
.jetforce-form .jetforce-fields-header > span { flex: 1 1 0; }
.jetforce-form .jetforce-fields-header > span + span { flex-grow: 1.4; }
.jetforce-form .jetforce-secret textarea { width: 100%; height: 72px; box-sizing: border-box; resize: vertical; font-family: var(--red-ui-monospace-font); font-size: 12px; }
.jetforce-form .jetforce-secret-buttons { display: flex; gap: 8px; margin-top: 4px; }
`;
