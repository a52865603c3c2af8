// Validates requests of GraphQL, one JSON body a line on standard input, against the schema
// in the file of the first argument: the document, and its variables.
const fs = require('fs')
const { buildSchema, parse, validate, validateSchema } = require('graphql')
const { getVariableValues } = require('graphql/execution/values')

const schema = buildSchema(fs.readFileSync(process.argv[2], 'utf8'))
const broken = validateSchema(schema)
if (broken.length > 0) throw new Error(broken.join('\n'))

let checked = 0
for (const line of fs.readFileSync(0, 'utf8').split('\n')) {
  if (line === '') continue
  const { query, variables } = JSON.parse(line)
  const document = parse(query)
  const errors = validate(schema, document)
  const definitions = document.definitions[0].variableDefinitions
  const { errors: wrong } = getVariableValues(schema, definitions, variables)
  const all = [...errors, ...(wrong || [])]
  if (all.length > 0) throw new Error(`${line}\n${all.join('\n')}`)
  checked += 1
}
console.log(`${checked} valid`)
