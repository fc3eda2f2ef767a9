// Shows this server's own contract. Keys that a reader types in are kept in the page's memory only.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelRendering: "example",
  showExtensions: true,
  persistAuthorization: false,
  validatorUrl: null,
});
