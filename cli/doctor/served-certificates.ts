// The certificates that the parts of the mesh answer with, seen from a pod of control: the cluster's network reaches them there.
import { systemNamespace } from '#api/injection/names.ts';

import type { Cluster } from '../cluster/cluster.ts';
import { runInControl } from '../cluster/control.ts';
import { parseJsonList } from '../cluster/json-fields.ts';
import type { ServedCertificate } from './state.ts';

const parts = [
  { by: 'selvage-ca', port: 15012 },
  { by: 'selvage-control', port: 15011 },
  { by: 'selvage-injector', port: 443 },
] as const;

/** Only looks at what is served: nothing is sent there, so nothing need be trusted. */
const program = `
const tls=require('node:tls');
Promise.all(process.argv.slice(1).map((to)=>new Promise((done)=>{
const [host,port]=to.split(':');
const socket=tls.connect({host,port:+port,servername:host,rejectUnauthorized:false,timeout:5000});
const end=(fields)=>{socket.destroy();done({to,...fields})};
socket.once('secureConnect',()=>end({ends:new Date(socket.getPeerCertificate().valid_to).toISOString()}));
socket.once('timeout',()=>end({failure:'no answer within 5 s'}));
socket.once('error',(e)=>end({failure:e.message}));
}))).then((all)=>process.stdout.write(JSON.stringify(all)));
`.replaceAll('\n', '');

export async function servedCertificates(cluster: Cluster): Promise<ServedCertificate[]> {
  const targets = parts.map(({ by, port }) => `${by}.${systemNamespace}.svc:${port}`);
  const answer = await runInControl(cluster, ['node', '-e', program, ...targets], 'shake hands');
  const found = parseJsonList(JSON.parse(answer));
  return parts.map(({ by }, i) => {
    const fields = found.find((one) => one.text('to') === targets[i]);
    const endsMs = fields?.time('ends') ?? null;
    return { by, endsMs, failure: endsMs === null ? (fields?.text('failure') ?? 'no answer') : '' };
  });
}
