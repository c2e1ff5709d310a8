"use strict";
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const cards = [...document.querySelectorAll(".card")];
  const selects = [...form.querySelectorAll("select")];
  const person = document.getElementById("person");
  const overlay = document.getElementById("overlay");
  const all = document.getElementById("all-sliders");
  const sliders = [...document.querySelectorAll(".picture input")];

  const filter = () => {
    const name = person.value.trim().toLowerCase();
    let count = 0;
    for (const card of cards) {
      const fits = selects.every((select) => !select.value || card.dataset[select.dataset.filter] === select.value);
      card.hidden = !(fits && card.dataset.person.includes(name));
      count += card.hidden ? 0 : 1;
    }
    document.getElementById("status").textContent = `${count} of ${cards.length} samples`;
    document.getElementById("none").hidden = count > 0;
  };
  const slide = (slider) => {
    slider.parentElement.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} per cent of the face without the mask`);
  };
  const slideAll = () => {
    for (const slider of sliders) {
      slider.value = all.value;
      slide(slider);
    }
  };
  const mark = () => {
    for (const truth of document.querySelectorAll(".truth, #legend")) truth.hidden = !overlay.checked;
  };
  const update = () => {
    filter();
    mark();
    slideAll();
  };

  for (const select of selects) select.addEventListener("change", filter);
  person.addEventListener("input", filter);
  overlay.addEventListener("change", mark);
  all.addEventListener("input", slideAll);
  for (const slider of sliders) slider.addEventListener("input", () => slide(slider));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  document.getElementById("clear").addEventListener("click", () => {
    form.reset();
    selects[0].focus();
  });
  update();
})();
