import { useEffect, useState } from "react";
import { Laurels } from "laurels";

const laurels = new Laurels("https://laurels.example.org");

export function Board({ slug }) {
  const [rows, setRows] = useState([]);
  useEffect(() => laurels.board(slug, { size: 10 }, (event) => event.type === "board" && setRows(event.board.rows)), [slug]);
  return <ol>{rows.map(({ username, score }) => <li key={username}>{username} {score.toLocaleString()}</li>)}</ol>;
}
