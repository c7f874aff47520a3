/** Colours come from the editor's theme alone, so that dark works too. */
export function installOperationsStyle(): void {
  $('<style>').text(STYLE).appendTo(document.head);
}

const STYLE = `
.jetforce-operations { height: 100%; overflow-y: auto; padding: 8px; box-sizing: border-box; color: var(--red-ui-primary-text-color); font-size: 13px; line-height: 18px; }
.jetforce-operations [hidden] { display: none !important; }
.jetforce-operations h3 { margin: 12px 0 4px; font-size: 13px; font-weight: 600; line-height: 18px; color: var(--red-ui-secondary-text-color); }
.jetforce-operations h4 { flex: 1 1 70px; min-width: 0; margin: 0; font-size: 13px; font-weight: 600; line-height: 18px; overflow-wrap: anywhere; }
.jetforce-operations .jetforce-title { display: block; padding: 0; border: 0; background: none; color: inherit; font: inherit !important; text-align: left; overflow-wrap: anywhere; }
.jetforce-title:hover { text-decoration: underline; }
.jetforce-notice:empty, .jetforce-said:empty, .jetforce-progress:empty { display: none; }
.jetforce-notice, .jetforce-progress { margin: 6px 0; color: var(--red-ui-secondary-text-color); }
.jetforce-card { margin-bottom: 6px; padding: 8px; border: 1px solid var(--red-ui-secondary-border-color); border-radius: 4px; background: var(--red-ui-secondary-background); }
.jetforce-card-head { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 6px; }
.jetforce-state { flex: none; margin-left: auto; color: var(--red-ui-secondary-text-color); }
.jetforce-light { flex: none; width: 9px; height: 9px; margin-top: 5px; border-radius: 50%; background: var(--red-ui-node-status-colors-grey); }
.jetforce-light[data-light=green] { background: var(--red-ui-node-status-colors-green); }
.jetforce-light[data-light=yellow] { background: var(--red-ui-node-status-colors-yellow); }
.jetforce-light[data-light=red] { background: var(--red-ui-node-status-colors-red); }
.jetforce-notes p { margin: 4px 0 0; overflow-wrap: anywhere; }
.jetforce-card dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(114px, 1fr)); gap: 4px 10px; margin: 6px 0 0; }
.jetforce-card dl > .jetforce-wide { grid-column: 1 / -1; }
.jetforce-card dt { font-weight: normal; font-size: 12px; line-height: 16px; color: var(--red-ui-secondary-text-color); }
.jetforce-card dd { margin: 0; overflow-wrap: anywhere; }
.jetforce-operations .jetforce-card-buttons { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin-top: 6px; }
.jetforce-operations .jetforce-card-buttons:empty { display: none; }
.jetforce-operations .red-ui-button { height: auto; min-height: 24px; padding: 2px 7px; font-size: 12px; line-height: 18px; white-space: normal; text-align: left; }
.jetforce-operations .red-ui-button:focus-visible, .jetforce-title:focus-visible, .jetforce-operations summary:focus-visible { outline: 2px solid var(--red-ui-form-input-focus-color); outline-offset: 1px; }
/* The editor paints a button that has the focus, with as much weight. */
.jetforce-operations button.red-ui-button.jetforce-sure:not(.disabled):not(:disabled):not(.primary) { border-color: var(--red-ui-text-color-error) !important; color: var(--red-ui-text-color-error) !important; }
.jetforce-operations label { display: flex; align-items: baseline; gap: 6px; margin: 0; font-size: 13px; overflow-wrap: anywhere; }
.jetforce-operations label > input { flex: none; margin: 0; }
.jetforce-said { margin-top: 4px; }
.jetforce-said.jetforce-bad { color: var(--red-ui-text-color-error); }
.jetforce-letters { margin-top: 6px; border-top: 1px solid var(--red-ui-secondary-border-color); }
.jetforce-letters ul { list-style: none; margin: 6px 0; padding: 0; }
.jetforce-letters li { padding: 4px 0; }
.jetforce-letters label > b { min-width: 0; font-weight: normal; }
.jetforce-letters details { margin-left: 20px; }
.jetforce-about { display: inline; font-size: 12px; color: var(--red-ui-secondary-text-color); overflow-wrap: anywhere; }
.jetforce-letters pre { margin: 4px 0; padding: 4px; max-height: 200px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; color: var(--red-ui-primary-text-color); background: var(--red-ui-primary-background); border: 1px solid var(--red-ui-secondary-border-color); }
.jetforce-bar { height: 6px; margin-top: 6px; border-radius: 3px; background: var(--red-ui-secondary-border-color); overflow: hidden; }
.jetforce-bar > div { height: 100%; background: var(--red-ui-node-status-colors-green); }
.jetforce-only .jetforce-section-list:not(:has([data-light=red], [data-light=yellow])), .jetforce-only .jetforce-card:not(:has([data-light=red], [data-light=yellow])) { display: none; }
.jetforce-copy { position: absolute; left: -9999px; }
`;
