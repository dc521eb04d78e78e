// What the pages do besides htmx. Every page works without it.
"use strict";
(() => {
  const firstError = () => {
    const field = document.querySelector("[aria-invalid=true]") || document.querySelector("[data-focus]");
    if (field) field.focus();
  };
  document.addEventListener("DOMContentLoaded", firstError);

  // A button that destroys something asks before; without this script the server asks.
  document.addEventListener("submit", (event) => {
    const question = event.submitter && event.submitter.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
})();
