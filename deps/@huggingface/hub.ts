export { modelInfo, pathsInfo } from "npm:@huggingface/hub@2.17.5";
