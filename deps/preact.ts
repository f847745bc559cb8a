export { h, render } from "npm:preact@11.2.0";
