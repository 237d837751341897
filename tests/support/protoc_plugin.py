"""A plugin of protoc, named by its argument, that writes the options of each file to generate."""

import json
import sys
from pathlib import PurePath

from google.protobuf import json_format
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

if __name__ == "__main__":
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    for file in request.proto_file:
        if file.name in request.file_to_generate:
            found = json_format.MessageToDict(file.options, preserving_proto_field_name=True)
            found |= {"file": file.name, "generator": sys.argv[1]}
            # A second run with other packages replaces nothing.
            name = f"{PurePath(file.name).with_suffix('')}.{sys.argv[1]}.{file.options.java_package}.json"
            response.file.add(name=name, content=json.dumps(found))
    sys.stdout.buffer.write(response.SerializeToString())
