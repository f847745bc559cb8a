/**
 * A worker of fake images in a process of its own, which dies at the prompt `die` as a crash of a driver would end it:
 * `deno run dying_worker.ts URL FOLDER`.
 *
 * @module
 */

import { connect } from "../../../serve/fleet/connect.ts";
import { FleetWorker } from "../../../serve/fleet/fleet_worker.ts";
import type { Job, Made, Watch } from "../../../serve/jobs/job.ts";
import { FolderStore } from "../../../serve/stores/folder_store.ts";
import { FakeMaker } from "./fake_maker.ts";

class Dying extends FakeMaker {
  override make(job: Job, watch?: Watch): Promise<Made> {
    if (job.prompt === "die") Deno.exit(9);
    return super.make(job, watch);
  }
}

const [url, folder] = Deno.args as [string, string];
await FleetWorker.start(new Dying(), new FolderStore(folder), await connect(url), { lock: 0.3 });
