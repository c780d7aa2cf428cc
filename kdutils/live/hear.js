// anywidget drops every message to a widget whose module took more than two seconds to load, as happens on a page that
// draws many figures on a slow machine: the widget would show its start for ever. Once it is loaded there is nothing to
// wait for, so that ipywidgets' own handler takes over.
async function hear(model) {
  const real = await model.widget_manager.get_model(model.get("me"));
  let first = null; // the class furthest up that handles messages: ipywidgets', not anywidget's
  for (let at = Object.getPrototypeOf(real); at; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, "_handle_comm_msg")) first = at;
  }
  real.comm?.on_msg(first._handle_comm_msg.bind(real));
  return real;
}
