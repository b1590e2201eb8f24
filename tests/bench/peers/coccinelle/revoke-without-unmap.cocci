// A function that makes an object unusable and takes no user mapping away, in a file that maps memory into VMAs.
//
// The file stands for the object: who maps what of which object would take another file, a callee or a caller.
@initialize:python@
@@
def say(place):
    print("%s:%s:%s" % (place.file, place.line, place.current_element))

@maps@
expression list es;
@@
\(remap_pfn_range(es)\|io_remap_pfn_range(es)\|vmf_insert_pfn(es)\|vmf_insert_pfn_prot(es)\|vmf_insert_page(es)\|vmf_insert_mixed(es)\|vm_insert_page(es)\|vm_iomap_memory(es)\|dma_mmap_coherent(es)\)

@sets depends on maps@
identifier f;
expression E, V;
expression list es;
position p;
@@
f(...) {
 ... when any
      when != unmap_mapping_range(es)
      when != unmap_mapping_pages(es)
      when != unmap_mapping_folio(es)
      when != zap_vma_ptes(es)
      when != zap_vma_pages(es)
      when != zap_page_range_single(es)
      when != drm_vma_node_unmap(es)
      when != ttm_bo_unmap_virtual(es)
      when != drm_dev_unplug(es)
      when != rdma_user_mmap_disassociate(es)
      when != uverbs_user_mmap_disassociate(es)
      when != revoke_iomem(es)
 \(E->revoked@p = V\|E->dead@p = V\|E->closed@p = V\|E->removed@p = V\|E->unplugged@p = V\|E->disconnected@p = V\|E->disassociated@p = V\|E->dying@p = V\)
 ... when any
      when != unmap_mapping_range(es)
      when != unmap_mapping_pages(es)
      when != unmap_mapping_folio(es)
      when != zap_vma_ptes(es)
      when != zap_vma_pages(es)
      when != zap_page_range_single(es)
      when != drm_vma_node_unmap(es)
      when != ttm_bo_unmap_virtual(es)
      when != drm_dev_unplug(es)
      when != rdma_user_mmap_disassociate(es)
      when != uverbs_user_mmap_disassociate(es)
      when != revoke_iomem(es)
 }

@script:python@
p << sets.p;
@@
say(p[0])

@calls depends on maps@
identifier f;
expression list es, as;
position p;
@@
f(...) {
 ... when any
      when != unmap_mapping_range(es)
      when != unmap_mapping_pages(es)
      when != unmap_mapping_folio(es)
      when != zap_vma_ptes(es)
      when != zap_vma_pages(es)
      when != zap_page_range_single(es)
      when != drm_vma_node_unmap(es)
      when != ttm_bo_unmap_virtual(es)
      when != drm_dev_unplug(es)
      when != rdma_user_mmap_disassociate(es)
      when != uverbs_user_mmap_disassociate(es)
      when != revoke_iomem(es)
 \(pci_try_reset_function@p(as)\|pci_reset_function@p(as)\|pci_disable_device@p(as)\|pci_set_power_state@p(as)\|kill_dax@p(as)\)
 ... when any
      when != unmap_mapping_range(es)
      when != unmap_mapping_pages(es)
      when != unmap_mapping_folio(es)
      when != zap_vma_ptes(es)
      when != zap_vma_pages(es)
      when != zap_page_range_single(es)
      when != drm_vma_node_unmap(es)
      when != ttm_bo_unmap_virtual(es)
      when != drm_dev_unplug(es)
      when != rdma_user_mmap_disassociate(es)
      when != uverbs_user_mmap_disassociate(es)
      when != revoke_iomem(es)
 }

@script:python@
p << calls.p;
@@
say(p[0])
