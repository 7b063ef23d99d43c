"use strict";
// Classifies by asking the service that this page came from.
const how = {
  async ready() {},
  // Returns {top: [{class, probability}], milliseconds, heatmap?}.
  async classify(blob, wantsHeatmap) {
    const facts = JSON.parse(document.getElementById("page-facts").textContent);
    if (blob.size > facts.maxBytes) {
      throw new Error(`The image is larger than ${Math.floor(facts.maxBytes / 2 ** 20)} MB.`);
    }
    const query = wantsHeatmap ? "?top=5&heatmap=true" : "?top=5";
    let answer;
    try {
      answer = await fetch("predict" + query, {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream" },
        body: blob,
      });
    } catch {
      throw new Error("The service does not answer: is it still running?");
    }
    const content = await answer.json().catch(() => ({})); // a server in between may answer
    if (!answer.ok || !content.results) {
      throw new Error(`${content.error || `The service answers with ${answer.status}`}.`);
    }
    return { ...content.results[0], milliseconds: content.milliseconds };
  },
};
