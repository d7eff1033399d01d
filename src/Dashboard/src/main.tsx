import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/views.css";
import { render } from "preact";
import { App } from "./app";
import { interceptLinks } from "./lib/router";
import { start } from "./lib/theme";

start();
interceptLinks();
render(<App />, document.getElementById("app")!);
